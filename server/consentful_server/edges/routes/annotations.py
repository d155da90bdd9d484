"""`/v1/annotations`: labels, notes and review status of stored dialogs and messages, read, written and deleted.

An annotation belongs to the credential that wrote it, so its address needs no id: a dialog, or one of its messages, and
you.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ... import errors
from ...annotations.remark import MAX_LABELS, MAX_NOTE, WHOLE, KeptAnnotation, Label, Remark, Review
from ...errors import BadRequest
from ...exports.formats import MEDIA
from ..http import bodies, list_query, paging, parameters, tags
from ..http.bodies import JSON
from ..http.conditions import TAGS, condition_of
from ..http.headers import EXPORT_ID
from ..http.list_query import AnnotationQuery
from ..http.negotiation import format_of
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Handler, Route
from ..http.streaming import STREAMED, stream

_BODY_BYTES: Final = 64 * 1024
"""Many times what labels and a note take, however they are escaped."""


class _Path(msgspec.Struct, frozen=True):
    dialog_id: wire.DialogId
    seq: Annotated[int, Meta(ge=1, le=2**31 - 1)] = WHOLE


class Annotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What you say of a dialog or a message. It replaces all that you said of it before."""

    labels: Annotated[list[Label], Meta(max_length=MAX_LABELS, description="names from your vocabulary")] = []
    note: Annotated[str, Meta(min_length=1, max_length=MAX_NOTE, description="free text, encrypted")] | None = None
    review: Review | None = None

    def __repr__(self) -> str:
        return f"Annotation(labels={len(self.labels)})"


class Deleting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose annotation is deleted: yours, unless a privacy officer names another annotator."""

    annotator: list_query.Annotator | None = None


async def annotations(request: web.Request) -> web.StreamResponse:
    """Return a page of annotations, or stream all annotations that match.

    The filters of dialogs choose the dialogs; `label`, `review` and `annotator` the annotations. A page ends with the
    dialog in which it reaches `limit`, so it can hold more than that.
    """
    query = list_query.from_url(request, AnnotationQuery)
    form = format_of(request, query)
    if form is not None:
        return await stream(request, query, form, "annotations")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    page = await service.pages.annotations(
        list_query.to_filter(query, principal, service),
        principal.read_scope,
        order=query.order,
        limit=query.limit,
        cursor=query.cursor,
    )
    return paging.page(request, query, page)


async def mine(request: web.Request) -> web.StreamResponse:
    """Return your annotation of a dialog as a whole. 404: there is none, or the dialog is not accessible to you."""
    return await _mine(request)


async def mine_of_message(request: web.Request) -> web.StreamResponse:
    """Return your annotation of one message. 404: there is none, or the dialog is not accessible to you."""
    return await _mine(request)


async def annotate(request: web.Request) -> web.StreamResponse:
    """Annotate a dialog as a whole. Idempotent: it replaces what you said before, and changes nothing if you repeat it.

    With `If-Match` it replaces only what you have read; with `If-None-Match: *` it replaces nothing.
    """
    return await _put(request)


async def annotate_message(request: web.Request) -> web.StreamResponse:
    """Annotate one message. Idempotent, and with the same preconditions as for a dialog."""
    return await _put(request)


async def remove(request: web.Request) -> web.StreamResponse:
    """Delete your annotation of a dialog as a whole. Idempotent; those of its messages stay.

    A privacy officer can delete the one of any `annotator`.
    """
    return await _delete(request)


async def remove_from_message(request: web.Request) -> web.StreamResponse:
    """Delete your annotation of one message. Idempotent. A privacy officer can delete the one of any `annotator`."""
    return await _delete(request)


async def _mine(request: web.Request) -> web.StreamResponse:
    path = _path(request)
    kept = await request.app[SERVICE].annotations.mine(path.dialog_id, path.seq, request[PRINCIPAL].read_scope)
    return json(kept, headers={hdrs.ETAG: kept.etag})


async def _put(request: web.Request) -> web.StreamResponse:
    path, condition = _path(request), condition_of(request)
    asked = parameters.convert(await bodies.object_of(request, _BODY_BYTES), Annotation, numbers_as_text=())
    remark = Remark(tuple(dict.fromkeys(asked.labels)), asked.note, asked.review)
    if remark.is_empty:
        raise BadRequest("body", "needs labels, a note or a review; to say nothing any more, send DELETE")
    scope = request[PRINCIPAL].read_scope
    kept, is_new = await request.app[SERVICE].annotations.put(path.dialog_id, path.seq, remark, scope, condition)
    return json(kept, status=201 if is_new else 200, headers={hdrs.ETAG: kept.etag})


async def _delete(request: web.Request) -> web.StreamResponse:
    path, condition, principal = _path(request), condition_of(request), request[PRINCIPAL]
    whose = parameters.convert(parameters.of_url(request), Deleting).annotator
    if whose not in (None, principal.id):
        principal.require("privacy")
    elif not principal.may("data:annotate"):
        raise BadRequest("annotator", "is required: your key writes no annotations of its own")
    await request.app[SERVICE].annotations.delete(path.dialog_id, path.seq, principal.read_scope, condition, whose)
    return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})


def _path(request: web.Request) -> _Path:
    return parameters.convert(parameters.of_path(request), _Path, numbers_as_text=("seq",))


_ANNOTATIONS: Final = {JSON: paging.Paged[KeptAnnotation], MEDIA["ndjson"]: KeptAnnotation} | STREAMED
_TAG: Final = Annotated[
    str, Meta(pattern=TAGS, description="`etag` of the annotation that you read; 412 if it was changed since")
]
_NONE: Final = Annotated[Literal["*"], Meta(description="412 if there is an annotation of yours already")]
_CONDITIONS: Final[Mapping[str, Any]] = {hdrs.IF_MATCH: _TAG, hdrs.IF_NONE_MATCH: _NONE}
_KEPT: Final = {JSON: KeptAnnotation}
_REFUSALS: Final = (errors.NotFound, errors.Stale, errors.StorageFailed, errors.OutcomeUnknown)

_MINE: Final = Route(
    "GET",
    "/v1/annotations/{dialog_id}",
    mine,
    scopes=("data:annotate",),
    answers=(Answer(_KEPT, headers=(hdrs.ETAG,)),),
    refusals=(errors.NotFound, errors.Damaged),
    tag=tags.ANNOTATIONS,
    operation="annotations_mine",
)
_PUT: Final = Route(
    "PUT",
    "/v1/annotations/{dialog_id}",
    annotate,
    scopes=("data:annotate",),
    headers=_CONDITIONS,
    body={JSON: Annotation},
    answers=(Answer(_KEPT, headers=(hdrs.ETAG,)), Answer(_KEPT, 201, headers=(hdrs.ETAG,))),
    refusals=(*_REFUSALS, errors.Damaged),
    tag=tags.ANNOTATIONS,
    operation="annotations_put",
)
_DELETE: Final = Route(
    "DELETE",
    "/v1/annotations/{dialog_id}",
    remove,
    scopes=("data:annotate", "privacy"),
    query=Deleting,
    headers=_CONDITIONS,
    answers=(Answer({}, 204),),
    refusals=_REFUSALS,
    tag=tags.ANNOTATIONS,
    operation="annotations_delete",
)


def _of_message(route: Route, handler: Handler, operation: str) -> Route:
    """Return the route of one message beside that of its dialog."""
    return route._replace(path=f"{route.path}/{{seq}}", handler=handler, operation=operation)


ROUTES: Final = (
    Route(
        "GET",
        "/v1/annotations",
        annotations,
        scopes=("data:read",),
        query=AnnotationQuery,
        answers=(Answer(_ANNOTATIONS, headers=(hdrs.LINK, EXPORT_ID)),),
        refusals=(errors.NotAcceptable, errors.Restored, errors.TooOften),
        tag=tags.ANNOTATIONS,
        operation="annotations_list",
    ),
    _MINE,
    _of_message(_MINE, mine_of_message, "annotations_mine_of_message"),
    _PUT,
    _of_message(_PUT, annotate_message, "annotations_put_message"),
    _DELETE,
    _of_message(_DELETE, remove_from_message, "annotations_delete_message"),
)
