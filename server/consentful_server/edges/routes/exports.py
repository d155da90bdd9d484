"""`/v1/exports`: the manifest of one export, with the dialogs in it that were erased since."""

from typing import Final

from aiohttp import web

from ... import errors
from ...exports.views import ShownExport
from ..http import bodies, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route


async def manifest(request: web.Request) -> web.StreamResponse:
    """Return the manifest of one of your exports, by its `Export-Id`.

    A privacy officer whose key is not bound to purposes can read every manifest.
    """
    principal = request[PRINCIPAL]
    # A manifest tells the filter and the number of rows, which can be of any purpose.
    who = None if principal.may("privacy") and principal.purposes is None else principal.id
    return json(await request.app[SERVICE].manifests.of(request.match_info["export_id"], who))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/exports/{export_id}",
        manifest,
        scopes=("data:read",),
        answers=(Answer({bodies.JSON: ShownExport}),),
        refusals=(errors.NotFound,),
        tag=tags.EXPORTS,
        operation="exports_manifest",
    ),
)
