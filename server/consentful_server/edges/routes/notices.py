"""`/v1/notices`: every wording with what customers decided, and the one to show when a chatbot asks (GDPR art. 13)."""

from datetime import datetime
from typing import Final

import msgspec
from aiohttp import web

from consentful import wire

from ...clock import from_micros
from ...consent.language import canonical
from ...consent.notices import Wording, on_offer
from ...dialogs.pushed import AnyLanguage
from ...statistics.store import NoticeOutcomes
from ..http import tags
from ..http.bodies import JSON
from ..http.parameters import convert, of_url
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route


class NoticeQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The language in which the notice is wanted. The nearest that the notice has is used, or else English."""

    language: AnyLanguage | None = None


async def current(request: web.Request) -> web.StreamResponse:
    """Return the notice to show now, with its id: what `opened` carries in a live dialog of this language."""
    language = convert(of_url(request), NoticeQuery).language
    catalogue = request.app[SERVICE].catalogue
    return json(catalogue.shown(catalogue.for_language(language and canonical(language))))


class NoticeVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A notice in one language: its wording, since when and until when it was on offer, and what customers decided.

    `opened` dialogs showed it, of which `granted`, `declined`, and `dropped` without a decision; those counted before
    this version of the service are missing. `is_on_offer`: new dialogs show it now.
    """

    notice: wire.Notice
    added_at: datetime
    retired_at: datetime | None
    is_on_offer: bool
    opened: int
    granted: int
    declined: int
    dropped: int


class NoticeVersions(msgspec.Struct, frozen=True):
    """Every wording that customers were ever shown, in the order in which they were added."""

    items: list[NoticeVersion]


async def versions(request: web.Request) -> web.StreamResponse:
    """List every notice in every language, also retired ones, with the decisions of the customers who were shown it.

    Refused to a key that is bound to purposes: decisions are about every purpose of a notice.
    """
    request[PRINCIPAL].require_unbound("decisions are counted for every purpose")
    service = request.app[SERVICE]
    known, counted = await service.store.notices.all(), await service.statistics.of_notices()
    offered = {(it.id, it.language) for it in on_offer(known)}
    items = [
        _version(it, counted.get((it.id, it.language)), is_on_offer=(it.id, it.language) in offered) for it in known
    ]
    return json(NoticeVersions(items))


def _version(wording: Wording, counted: NoticeOutcomes | None, *, is_on_offer: bool) -> NoticeVersion:
    granted, declined, dropped = (counted.granted, counted.declined, counted.dropped) if counted else (0, 0, 0)
    return NoticeVersion(
        notice=wording.to_wire(),
        added_at=from_micros(wording.added_at),
        retired_at=None if wording.retired_at is None else from_micros(wording.retired_at),
        is_on_offer=is_on_offer,
        opened=granted + declined + dropped,
        granted=granted,
        declined=declined,
        dropped=dropped,
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/notices",
        versions,
        scopes=("privacy",),
        answers=(Answer({JSON: NoticeVersions}),),
        tag=tags.PRIVACY,
        operation="officer_notices",
    ),
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
