"""`/v1/stats`: counts of stored dialogs and messages, and outcomes of dialogs."""

from datetime import date
from itertools import pairwise
from typing import Annotated, Final, get_args

import msgspec
from aiohttp import web
from msgspec import Meta

from consentful import wire

from ...archive.query import language_range
from ...errors import BadRequest
from ...statistics.statistics import By, Value
from ...statistics.store import LENGTHS, Which
from ..http import bodies, list_query, parameters, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_DIMENSIONS: Final[tuple[By, ...]] = get_args(By)
_LENGTHS: Final = {least: f"{least}-{following - 1}" for least, following in pairwise(LENGTHS)} | {
    LENGTHS[-1]: f"{LENGTHS[-1]}+"
}

_BY: Final = Meta(
    max_length=100,
    description=f"a comma-separated list of {', '.join(_DIMENSIONS)}; if empty, only the totals are returned",
    extra_json_schema={"pattern": rf"^(({'|'.join(_DIMENSIONS)})(,(?!$)|$))*$"},
)
Day = Annotated[date, Meta(description="a day (UTC), such as 2026-01-31")]
Bot = Annotated[str, Meta(min_length=1, max_length=200, description="the chatbot's name")]


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filters of outcomes."""

    bot: Bot | None = None
    since: Day | None = None
    until: Day | None = None


class Counting(Ended, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filters of counts, and the dimensions to group by."""

    by: Annotated[str, _BY] = "day"
    language: list_query.Range | None = None
    purpose: wire.Label | None = None


class Count(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The counts of one combination of dimension values; null where dialogs have no value.

    `dialogs` is omitted with `by=role`, because a dialog has messages of several roles.
    """

    day: str | msgspec.UnsetType = msgspec.UNSET
    language: str | msgspec.UnsetType | None = msgspec.UNSET
    bot: str | msgspec.UnsetType | None = msgspec.UNSET
    role: str | msgspec.UnsetType = msgspec.UNSET
    purpose: str | msgspec.UnsetType = msgspec.UNSET
    length: str | msgspec.UnsetType = msgspec.UNSET
    dialogs: int | msgspec.UnsetType = msgspec.UNSET
    messages: int


class Totals(msgspec.Struct, frozen=True):
    """The counts of all matching dialogs, each counted once."""

    dialogs: int
    messages: int


class Statistics(msgspec.Struct, frozen=True):
    """Counts grouped by the requested dimensions, in the requested order, and their totals."""

    items: list[Count]
    totals: Totals


class DayOutcomes(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of the dialogs of one day (UTC) and chatbot. `dropped` counts dialogs that ended without a decision.

    `bot` is null for chatbots without a name, and for those that no stored dialog names.
    """

    day: str
    bot: str | None
    granted: int
    declined: int
    dropped: int


class OutcomeList(msgspec.Struct, frozen=True):
    """Outcomes of dialogs, by day and chatbot."""

    items: list[DayOutcomes]


async def count(request: web.Request) -> web.StreamResponse:
    """Count stored dialogs and messages, by day, language, chatbot, role, purpose or length of the dialog.

    The counts come from counters, which do not scan the dialogs.
    """
    query = parameters.convert(parameters.of_url(request), Counting)
    by = _by(query.by)
    which = _which(query, None if query.language is None else language_range(query.language))
    stats, scope = request.app[SERVICE].statistics, request[PRINCIPAL].read_scope
    items = [
        _count(by, values, dialogs=counted.dialogs, messages=counted.messages)
        for values, counted in await stats.count(which, by, query.purpose, scope)
    ]
    (total,) = [counted for _, counted in await stats.count(which, [], query.purpose, scope)] or [None]
    totals = Totals(0, 0) if total is None else Totals(total.dialogs or 0, total.messages)
    return json(Statistics(items, totals))


async def outcomes(request: web.Request) -> web.StreamResponse:
    """Count how dialogs ended, by day and chatbot: granted, declined or dropped.

    Refused to a key that is bound to purposes: a dialog that was not granted has none.
    """
    request[PRINCIPAL].require_unbound("outcomes count dialogs of every purpose; use /v1/stats")
    query = parameters.convert(parameters.of_url(request), Ended)
    found = await request.app[SERVICE].statistics.outcomes(_which(query))
    return json(OutcomeList([DayOutcomes(**msgspec.structs.asdict(outcomes)) for outcomes in found]))


def _by(text: str) -> list[By]:
    names = text.split(",") if text else []
    by: list[By] = [dimension for name in dict.fromkeys(names) for dimension in _DIMENSIONS if dimension == name]
    if len(by) != len(set(names)):
        raise BadRequest("by", f"must be a comma-separated list of {', '.join(_DIMENSIONS)}")
    return by


def _which(query: Ended, language: str | None = None) -> Which:
    since, until = (None if day is None else day.isoformat() for day in (query.since, query.until))
    return Which(since, until, language, query.bot)


def _count(by: list[By], values: tuple[Value, ...], *, dialogs: int | None, messages: int) -> Count:
    named = dict(zip(by, values, strict=True))
    if isinstance(length := named.get("length"), int):
        named["length"] = _LENGTHS[length]
    return Count(**named, dialogs=msgspec.UNSET if dialogs is None else dialogs, messages=messages)  # pyright: ignore[reportArgumentType] - the values are of their dimensions


ROUTES: Final = (
    Route(
        "GET",
        "/v1/stats",
        count,
        scopes=("data:read",),
        query=Counting,
        answers=(Answer({bodies.JSON: Statistics}),),
        tag=tags.STATISTICS,
        operation="stats_count",
    ),
    Route(
        "GET",
        "/v1/stats/outcomes",
        outcomes,
        scopes=("data:read",),
        query=Ended,
        answers=(Answer({bodies.JSON: OutcomeList}),),
        tag=tags.STATISTICS,
        operation="stats_outcomes",
    ),
)
