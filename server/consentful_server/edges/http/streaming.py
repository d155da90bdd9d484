"""Streams over HTTP: the whole result in one answer, compressed if the client likes, recognisable when it is cut short.

An answer that breaks off never gets the last chunk (RFC 9112 §7.1), so a client that looks at it sees an error. One
that is whole tells in its trailer how many rows there were, and the SHA-256 of what they were before any coding.
"""

from contextlib import aclosing, suppress
from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from ...archive.query import LAST_SEQ, Position
from ...errors import BadRequest
from ...exports.formats import MEDIA, Format, Shape
from ...exports.formats.compression import squeezer
from ...reading.streams import Stream
from ..server.trailers import write_eof
from . import list_query
from .headers import EXPORT_ID, EXPORT_ROWS, EXPORT_SHA256
from .list_query import MessageQuery, StreamQuery
from .negotiation import coding_of
from .pipeline import PRINCIPAL, SERVICE

STREAMED: Final = {media: bytes for name, media in MEDIA.items() if name != "ndjson"}
_SQUEEZED_ALREADY: Final = ("parquet",)


async def stream(request: web.Request, query: StreamQuery, form: Format, shape: Shape) -> web.StreamResponse:
    """Answer with everything that fits. A client that reads slowly slows the walk, nothing else."""
    if query.cursor is not None:
        raise BadRequest("cursor", "a stream has no pages; leave the cursor out, or ask for application/json")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    wanted = list_query.to_filter(query, principal, service.archive)
    after = await _after(request, query) if isinstance(query, MessageQuery) else None
    coding = None if form in _SQUEEZED_ALREADY else coding_of(request)
    sending = Stream(form, shape, wanted, principal.read_scope, query.order)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: MEDIA[form],
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.VARY: "Accept, Accept-Encoding",
            EXPORT_ID: sending.id,
        }
    )
    if coding is not None:
        response.headers[hdrs.CONTENT_ENCODING] = coding
    if request.method == hdrs.METH_HEAD:
        return response
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
        response.headers[hdrs.TRAILER] = f"{EXPORT_ROWS}, {EXPORT_SHA256}"
    packer = None if coding is None else squeezer(coding)
    async with aclosing(service.streams.run(sending, after)) as blocks:
        block = await anext(blocks)  # what can be refused is refused before the first byte
        await response.prepare(request)
        with suppress(ConnectionError):  # a reader that stops in the middle is no fault of ours
            while block is not None:
                await response.write(block if packer is None else packer.compress(block))
                block = await anext(blocks, None)
            if packer is not None:
                await response.write(packer.flush())
            await write_eof(response, {EXPORT_ROWS: str(sending.rows), EXPORT_SHA256: sending.sha256.hex()})
    return response


async def _after(request: web.Request, query: MessageQuery) -> Position | None:
    """Return the row after which to go on.

    Raises:
        BadRequest: If there is no such dialog, or the order is not that of commit.
    """
    if query.after is None:
        return None
    if query.order != "stored":
        raise BadRequest("after", "goes with order=stored only, in which rows keep their places")
    seq, separator, dialog_id = query.after.rpartition("@")
    found = await request.app[SERVICE].access_log.dialogs_of(None, dialog_id)
    if not found:
        raise BadRequest("after", "no such dialog, stored or erased; begin again without it")
    return Position(0, found.max(), int(seq) if separator else LAST_SEQ)
