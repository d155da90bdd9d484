"""What became of exports: their manifests, and the feed of erasures for those who keep copies (GDPR art. 19)."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from .. import errors
from ..clock import from_micros
from ..exports.feed import Manifest, Told
from . import asking, bodies, tags
from .requests import PRINCIPAL, SERVICE, Answer, Route, json

_FEED: Final = "erasures"


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


class Following(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the feed is asked for."""

    limit: asking.Limit = asking.DEFAULT_LIMIT
    cursor: Annotated[str, Meta(min_length=1, max_length=500, description="`next` of the last read")] | None = None


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One dialog that was erased: delete your copies.

    `exports` are those of yours that held it; `read` tells whether one of your pages did.
    """

    dialog_id: str
    erased_at: datetime
    exports: list[str]
    read: bool


class Erasures(msgspec.Struct, frozen=True):
    """One page of the feed, oldest first. `next` is always there: keep it, and ask again with it."""

    items: list[Erasure]
    next: str
    more: bool


async def manifest(request: web.Request) -> web.StreamResponse:
    """Tell of one export of yours, named by its `Export-Id`; a privacy officer sees everyone's."""
    principal = request[PRINCIPAL]
    who = None if principal.may("privacy") else principal.id
    return json(_shown(await request.app[SERVICE].exports.manifest(request.match_info["export_id"], who)))


async def erasures(request: web.Request) -> web.StreamResponse:
    """List the dialogs that were erased, in the order in which they were: what you have of them must go.

    To ask with a cursor says that everything before it has arrived.
    """
    asked = asking.convert(asking.single(request), Following)
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    after = 0 if asked.cursor is None else service.cursors.marked(asked.cursor, _FEED, principal.purposes)
    told, place, more = await service.exports.erasures(
        after, asked.limit, principal.sight, all_of_it=principal.may("privacy")
    )
    return json(Erasures([_told(it) for it in told], service.cursors.mark(_FEED, principal.purposes, place), more))


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


def _told(told: Told) -> Erasure:
    return Erasure(
        dialog_id=told.erased.dialog_id,
        erased_at=from_micros(told.erased.erased_at),
        exports=told.exports,
        read=told.was_read,
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
    Route(
        "GET",
        "/v1/erasures",
        erasures,
        scopes=("data:read",),
        query=Following,
        answers=(Answer({bodies.JSON: Erasures}),),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.EXPORTS,
        operation="exports_erasures",
    ),
)
