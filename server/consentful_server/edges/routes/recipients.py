"""`/v1/recipients`: who was shown dialogs, and has read that they were erased (GDPR art. 19)."""

from typing import Final

import msgspec
from aiohttp import web

from ...exports.views import ToldRecipient
from ..http import bodies, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route


class RecipientList(msgspec.Struct, frozen=True):
    """All recipients, by name."""

    items: list[ToldRecipient]


async def recipients(request: web.Request) -> web.StreamResponse:
    """List who was shown dialogs, how far each has followed the feed of erasures, and exports with erased dialogs.

    Refused to a key that is bound to purposes: the list tells of every purpose.
    """
    request[PRINCIPAL].require_unbound("the list tells of dialogs of every purpose")
    return json(RecipientList(await request.app[SERVICE].feed.recipients()))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/recipients",
        recipients,
        scopes=("privacy",),
        answers=(Answer({bodies.JSON: RecipientList}),),
        tag=tags.EXPORTS,
        operation="exports_recipients",
    ),
)
