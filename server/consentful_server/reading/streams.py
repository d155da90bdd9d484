"""Streams: everything that was stored when the stream began, less what is erased meanwhile, in constant memory.

    begun: entry `….streamed` ──► block ──► block ──► … ──► closing bytes ──► ended: export record and entry `….sent`
                                    │ the reader disconnects, its credential ends, or the stream is cancelled
                                    └──► ended: the same, but not `complete`

A block is a page of rows, read, opened and encoded off the event loop in one read transaction. Between two blocks
nothing is open: a slow reader delays neither the writes of others nor an erasure. The number of rows in a block
follows its size in bytes.

Threads: a `Stream` is used by the event loop and, for one block at a time, by a reader's thread.

Races, and the line that closes each:

(R1) A dialog is stored while the stream runs: it lies beyond the horizon, which is fixed before the first block.
(R2) A dialog is erased while the stream runs: later blocks do not have it. Earlier ones may: the place in the feed of
     erasures is taken before the first block, so the manifest reports every erasure since.
(R3) The stream is cancelled while a thread encodes a block: the export record may count that block although it was not
     sent. It errs towards more recipients, never towards fewer.
(R4) The server dies during a stream: there is a `….streamed` entry without a `….sent` one, and the log reports the
     stream as unfinished.
(R5) Many streams and text searches run at the same time: `turn` lets one block at a time be opened and encoded, because
     all threads share the GIL, and consents must not wait for it.
(R6) The reader's credential is revoked or expires while the stream runs: the next block is not read. Blocks that were
     sent before stay with the reader, and the export record lists them.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from pyroaring import BitMap

from consentful.identifiers import uuid7

from ..access_log.chain import Action
from ..access_log.log import AccessLog
from ..archive.folding import fold
from ..archive.opening import OnDamaged, Opened, Opener
from ..archive.priority import Priority
from ..archive.query import Filter, Order, Position, Selection, check_order
from ..archive.store import DialogStore, ListedDialog, MessageRow
from ..archive.views import Roles
from ..auth.read_scope import ReadScope
from ..exports.formats import MEDIA, Format, Shape, encoder
from ..exports.store import Export, ExportStore
from ..keys.vault import Vault
from ..telemetry import traces
from .walk import Walk

_MOST_ROWS: Final[Mapping[Shape, int]] = {"messages": 500, "dialogs": 250, "chat": 100, "annotations": 250}
_MOST_BYTES: Final = 1024 * 1024
"""A block that is larger makes the next one half as long."""

_BESIDE_DECISIONS: Final = 2
"""While dialogs are decided, blocks are that many times shorter: a decision waits for less of what is done at once."""

_FEW_ROWS: Final = 100
"""Rows in the first block: the length of rows is not known yet."""


class Stream:
    """One stream: its query, its encoder, and what was encoded so far."""

    def __init__(
        self,
        form: Format,
        shape: Shape,
        wanted: Filter,
        scope: ReadScope,
        order: Order,
        *,
        bom: bool = False,
        roles: Roles = "user/assistant",
    ) -> None:
        self.id = str(uuid7())
        self.form: Format = form
        self.shape: Shape = shape
        self.wanted = wanted
        self.scope = scope
        self.order: Order = order
        self._roles: Roles = roles
        self._encoder = encoder(form, shape, bom=bom)
        self._rows = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._is_complete = False
        self.dialogs = BitMap()
        self.needle = None if wanted.q is None else fold(wanted.q)

    def rows_of(self, opened: Opened | None) -> Sequence[Any]:
        """Return a dialog as rows; none if it does not match, or could not be opened."""
        if opened is None:
            return ()
        if self.shape == "annotations":
            return opened.annotations
        if self.needle is not None and not opened.contains(self.needle):
            return ()
        if self.shape == "dialogs":
            return (opened.summary(self.scope),)
        return (opened.chat(self.scope, self._roles),)

    def encode(self, numbers: Iterable[int], rows: Sequence[Any]) -> bytes:
        """Return the rows as bytes; `numbers` are the internal numbers of their dialogs."""
        if not rows:
            return b""
        self._rows += len(rows)
        self.dialogs.update(numbers)
        return self._counted(self._encoder.block(rows))

    def finish(self) -> bytes:
        """Return the bytes that end the format."""
        return self._counted(self._encoder.finish())

    def mark_complete(self) -> None:
        """Record that the reader took all bytes, the closing ones included."""
        self._is_complete = True

    @property
    def rows(self) -> int:
        """Number of rows encoded so far."""
        return self._rows

    @property
    def sha256(self) -> bytes:
        """Digest of all bytes so far, before any content coding."""
        return self._sha256.digest()

    def record(self, place: int, *, damaged: int) -> Export:
        """Return the export's record; `place` is the place in the feed of erasures when the stream began."""
        return Export(
            id=self.id,
            who=self.scope.by.name,
            shape=self.shape,
            media=MEDIA[self.form],
            place=place,
            rows=self._rows,
            size=self._size,
            sha256=self.sha256,
            complete=self._is_complete,
            damaged=damaged,
        )

    def _counted(self, data: bytes) -> bytes:
        self._size += len(data)
        self._sha256.update(data)
        return data


class Streams:
    """Runs streams over the stored data of this deployment."""

    def __init__(
        self,
        store: DialogStore,
        exports: ExportStore,
        vault: Vault,
        access_log: AccessLog,
        turn: asyncio.Lock,
        priority: Priority,
        on_damaged: OnDamaged,
    ) -> None:
        self._on_damaged = on_damaged
        self._priority = priority
        self._store = store
        self._exports = exports
        self._vault = vault
        self._access_log = access_log
        self._turn = turn

    async def run(
        self, stream: Stream, after: Position | None = None, *, check: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[bytes]:
        """Yield the stream block by block, after a row if one is given. The last block ends the format.

        Dialogs that cannot be opened are left out and counted. Close the generator if the reader stops early. `check`
        is awaited before each block; what it raises ends the stream.
        """
        check_order(stream.order, stream.wanted, stream.scope.purposes)
        opener = Opener(self._vault, stream.scope, self._priority.give_way, metadata=stream.wanted.metadata)
        walk, place = Walk(await self._store.horizon(), after), await self._exports.place()  # (R1, R2)
        begun, sent = _ACTIONS[stream.shape]
        asked = stream.wanted.asked() | {"watermark": walk.horizon}
        await self._access_log.write(stream.scope.by, begun, wanted=asked, subject=stream.id)  # (R4)
        span = traces.begin("export", {"consentful.format": stream.form, "consentful.shape": stream.shape})
        try:
            async for data in self._walk(stream, walk, opener, check):
                yield data
        finally:
            record = stream.record(place, damaged=len(opener.damaged))  # (R3)
            self._on_damaged(record.damaged)
            span.set({"consentful.rows": record.rows, "consentful.complete": record.complete})
            span.end()
            note = self._access_log.note(
                stream.scope.by, sent, rows=record.rows, dialogs=stream.dialogs, subject=stream.id
            )
            await self._exports.add(record, note)

    async def _walk(
        self, stream: Stream, walk: Walk, opener: Opener, check: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[bytes]:
        read = self._messages if stream.shape == "messages" else self._dialogs
        more, length, most = True, _FEW_ROWS, _MOST_ROWS[stream.shape]
        while more:
            if self._priority.is_needed:  # (R5)
                length = min(length, most // _BESIDE_DECISIONS)
            selection = walk.select(stream.wanted, stream.scope.purposes, stream.order, length)
            await check()  # (R6)
            async with self._turn:  # (R5)
                data, last = await read(stream, selection, opener)
            more = last is not None
            walk = walk.past(stream.order, last)
            length = _length_after(data, length, most)
            if data:
                yield data
        yield stream.finish()
        stream.mark_complete()

    async def _messages(self, stream: Stream, selection: Selection, opener: Opener) -> tuple[bytes, Position | None]:
        def block(
            rows: Sequence[MessageRow], listed: Mapping[int, ListedDialog], more: bool
        ) -> tuple[bytes, Position | None]:
            found, messages = opener.messages(rows, listed, stream.needle)
            data = stream.encode({row.dialog for row in found}, messages)
            return data, rows[-1].position if more else None

        made, _ = await self._store.list_messages(selection, block)
        return made

    async def _dialogs(self, stream: Stream, selection: Selection, opener: Opener) -> tuple[bytes, Position | None]:
        is_chat = stream.shape == "chat"
        has_texts = is_chat or stream.wanted.q is not None

        def block(rows: Sequence[ListedDialog], more: bool) -> tuple[bytes, Position | None]:
            found = (
                (dialog.number, stream.rows_of(opener.open(dialog, texts=has_texts, heads=is_chat))) for dialog in rows
            )
            fitting = {number: made for number, made in found if made}
            data = stream.encode(fitting, list(chain.from_iterable(fitting.values())))
            return data, rows[-1].position if more else None

        has_annotations = stream.shape == "annotations"
        made, _ = await self._store.list_dialogs(selection, block, texts=has_texts, annotations=has_annotations)
        return made


_ACTIONS: Final[Mapping[Shape, tuple[Action, Action]]] = {
    "messages": ("messages.streamed", "messages.sent"),
    "chat": ("messages.streamed", "messages.sent"),
    "dialogs": ("dialogs.streamed", "dialogs.sent"),
    "annotations": ("annotations.streamed", "annotations.sent"),
}


def _length_after(data: bytes, length: int, most: int) -> int:
    """Return the number of rows of the next block, so that long rows take no more memory than short ones."""
    return max(1, length // 2) if len(data) > _MOST_BYTES else min(most, length * 2)
