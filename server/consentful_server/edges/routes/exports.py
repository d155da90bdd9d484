"""`/v1/exports`: the manifest of one export, and what was erased of it since."""

from datetime import datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from ... import errors
from ...clock import from_micros
from ...exports.feed import Manifest
from ..http import bodies, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route


class ShownExport(msgspec.Struct, frozen=True, kw_only=True):
    """One export. `bytes` and `sha256` are of the file, before any content coding.

    It is not `complete` while it runs, and if it was cut short. It is `stale` once a dialog in it was erased. `filter`
    is null once it was erased with the customer whom it named. `damaged` dialogs belonged in it and did not open.
    """

    id: str
    who: str
    filter: dict[str, Any] | None
    began_at: datetime
    ended_at: datetime | None
    complete: bool
    shape: str | None
    media: str | None
    rows: int | None
    bytes: int | None
    sha256: str | None
    damaged: int | None
    stale: bool
    erased: list[str]


async def manifest(request: web.Request) -> web.StreamResponse:
    """Tell of one export of yours, named by its `Export-Id`; a privacy officer sees everyone's."""
    principal = request[PRINCIPAL]
    who = None if principal.may("privacy") else principal.id
    return json(_shown(await request.app[SERVICE].exports.manifest(request.match_info["export_id"], who)))


def _shown(manifest: Manifest) -> ShownExport:
    record = manifest.record
    return ShownExport(
        id=manifest.id,
        who=manifest.who,
        filter=manifest.wanted,
        began_at=from_micros(manifest.began_at),
        ended_at=None if manifest.ended_at is None else from_micros(manifest.ended_at),
        complete=record is not None and record.complete,
        shape=None if record is None else record.shape,
        media=None if record is None else record.media,
        rows=None if record is None else record.rows,
        bytes=None if record is None else record.size,
        sha256=None if record is None else record.sha256.hex(),
        damaged=None if record is None else record.damaged,
        stale=bool(manifest.erased),
        erased=manifest.erased,
    )


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
