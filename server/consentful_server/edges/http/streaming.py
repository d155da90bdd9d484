"""Streams over HTTP: the complete result in one chunked response, compressed if the client accepts it.

    prepare query ──► first block read ──► head sent ──► blocks ──► last chunk and trailers
         │ refused: problem document           │ error, disconnect, or a credential that is no longer valid: the
         │                                     │ connection closes without a last chunk
         ▼                                     ▼
       4xx, 5xx                           the client sees an incomplete response

A refusal is possible until the first block is read, so that block is read before the head is sent. An interrupted
response has no last chunk (RFC 9112 §7.1), so HTTP clients report an error. The trailers of a complete one give the
number of rows, and the SHA-256 of the content before compression.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web

from ...archive.query import LAST_SEQ, Position
from ...auth.read_scope import ReadScope
from ...errors import BadRequest
from ...exports import formats
from ...exports.formats import CONTENT_TYPES, MEDIA, Format, Shape
from ...exports.formats.compression import Coding, Compressor, compressor
from ...limits.clients import by_credential
from ...reading.streams import Stream
from ..server.trailers import write_eof
from . import list_query
from .headers import EXPORT_ID, EXPORT_ROWS, EXPORT_SHA256
from .list_query import MessageQuery, StreamQuery
from .negotiation import coding_of
from .pipeline import PRINCIPAL, SERVICE

STREAMED: Final = {media: bytes for name, media in MEDIA.items() if name != "ndjson"}
_COMPRESSED_FORMATS: Final = ("parquet",)


async def stream(request: web.Request, query: StreamQuery, form: Format, shape: Shape) -> web.StreamResponse:
    """Stream all rows that match the query. A slow client slows down its own stream, and no other.

    Raises:
        BadRequest: If the query has a cursor, or an `after` that cannot be resumed.
        TooOften, Overloaded: If the credential, or all of them together, have too many streams.
    """
    if query.cursor is not None:
        raise BadRequest("cursor", "not accepted for a stream; omit it, or request application/json")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    rows = list_query.to_filter(query, principal, service)
    after = await _after(request, query, principal.read_scope) if isinstance(query, MessageQuery) else None
    coding = None if form in _COMPRESSED_FORMATS else coding_of(request)
    chosen: dict[str, Any] = {"bom": query.bom} | ({"roles": query.roles} if isinstance(query, MessageQuery) else {})
    await formats.load(form)
    export = Stream(form, shape, rows, principal.read_scope, query.order, **chosen)
    response = _head(request, export, form, coding)
    if request.method == hdrs.METH_HEAD:
        return response
    with service.clients.stream(by_credential(principal.id)):
        check = partial(service.access.recheck, principal)
        async with aclosing(service.streams.run(export, after, check=check)) as blocks:
            await _send(request, response, export, blocks, None if coding is None else compressor(coding))
    return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    export: Stream,
    blocks: AsyncGenerator[bytes],
    packer: Compressor | None,
) -> None:
    """Send the blocks, compressed by `packer` if there is one, and the trailers."""
    block = await anext(blocks)  # raises every refusal, so that no head is sent before it
    await response.prepare(request)
    with suppress(ConnectionError):  # the client disconnected: the caller ends the stream and its access-log entry
        while block is not None:
            await response.write(block if packer is None else packer.compress(block))
            block = await anext(blocks, None)
        if packer is not None:
            await response.write(packer.flush())
        await write_eof(response, {EXPORT_ROWS: str(export.rows), EXPORT_SHA256: export.sha256.hex()})


def _head(request: web.Request, export: Stream, form: Format, coding: Coding | None) -> web.StreamResponse:
    """Return the response with its headers, before anything is sent."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: CONTENT_TYPES[form],
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.VARY: "Accept, Accept-Encoding",
            EXPORT_ID: export.id,
        }
    )
    if coding is not None:
        response.headers[hdrs.CONTENT_ENCODING] = coding
    if request.method != hdrs.METH_HEAD and request.version >= HttpVersion11:
        response.enable_chunked_encoding()
        response.headers[hdrs.TRAILER] = f"{EXPORT_ROWS}, {EXPORT_SHA256}"
    return response


async def _after(request: web.Request, query: MessageQuery, scope: ReadScope) -> Position | None:
    """Return the position of the row after which to resume.

    Raises:
        BadRequest: If the dialog does not exist within the scope, or the order is not that of commit.
    """
    if query.after is None:
        return None
    if query.order != "stored":  # only in commit order do rows keep their positions while others are stored
        raise BadRequest("after", "requires order=stored")
    seq, separator, dialog_id = query.after.rpartition("@")
    found = await request.app[SERVICE].access_log.dialogs_of(None, dialog_id, scope.covers)
    if not found:
        raise BadRequest(
            "after",
            "names a dialog that does not exist, or not for your purposes; start the stream again without `after`",
        )
    return Position(0, found.max(), int(seq) if separator else LAST_SEQ)
