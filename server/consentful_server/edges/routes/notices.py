"""`/v1/notices/current`: the notice to show when a chatbot of the original contract asks for consent (GDPR art. 13)."""

from typing import Final

import msgspec
from aiohttp import web

from consentful import wire

from ...consent.language import canonical
from ...dialogs.pushed import AnyLanguage
from ..http import tags
from ..http.bodies import JSON
from ..http.parameters import convert, of_url
from ..http.pipeline import SERVICE, json
from ..http.route import Answer, Route


class NoticeQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The language in which the notice is wanted. The nearest that the notice has is used, or else English."""

    language: AnyLanguage | None = None


async def current(request: web.Request) -> web.StreamResponse:
    """Return the notice to show now, with its id: what `opened` carries in a live dialog of this language."""
    language = convert(of_url(request), NoticeQuery).language
    catalogue = request.app[SERVICE].catalogue
    return json(catalogue.shown(catalogue.for_language(language and canonical(language))))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/notices/current",
        current,
        scopes=("dialogs:write",),
        query=NoticeQuery,
        answers=(Answer({JSON: wire.Notice}),),
        tag=tags.ORIGINAL,
        operation="original_notice",
    ),
)
