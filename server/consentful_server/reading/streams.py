"""Streams: all that was stored when one began, less what is erased meanwhile, as bytes and in constant memory.

Reading, opening and encoding are one short piece of work off the event loop. Whoever takes the blocks slowly slows
the walk, and nothing else: between two blocks nothing is held, so an erasure completes while a stream runs.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from pyroaring import BitMap

from consentful.identifiers import uuid7

from ..access_log.chain import Action
from ..access_log.log import AccessLog
from ..archive.opening import Opened, Opener, fold
from ..archive.query import Filter, Order, Position, Selection
from ..archive.store import DialogStore, ListedDialog, MessageRow
from ..archive.views import KeptMessage
from ..auth.read_scope import ReadScope
from ..exports.formats import MEDIA, Format, Shape, encoder
from ..exports.store import Export, ExportStore
from ..keys.vault import Vault
from .walk import Walk, shown

T = TypeVar("T")

Rows: TypeAlias = Sequence[tuple[MessageRow, KeptMessage]]

_MOST_ROWS: Final[Mapping[Shape, int]] = {"messages": 1_000, "dialogs": 500, "chat": 200}
_MOST_BYTES: Final = 1024 * 1024
"""About how large a block is where rows are long."""

_FEW_ROWS: Final = 100
"""The first block has as many: how long rows are is not known yet."""


class Stream:
    """One stream. The access log has an entry before the first block, and one of what was sent after the last."""

    def __init__(self, form: Format, shape: Shape, wanted: Filter, scope: ReadScope, order: Order) -> None:
        self.id = str(uuid7())
        self.form: Format = form
        self.shape: Shape = shape
        self.wanted = wanted
        self.scope = scope
        self.order: Order = order
        self._encoder = encoder(form, shape)
        self._rows = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._is_complete = False
        self.dialogs = BitMap()
        self._needle = None if wanted.q is None else fold(wanted.q)

    def fitting(self, found: Rows) -> Rows:
        """Return those of the messages that hold what is looked for."""
        needle = self._needle
        return found if needle is None else [it for it in found if needle in fold(it[1].text)]

    def row_of(self, opened: Opened | None) -> Any:
        """Return a dialog as a row; None if it does not fit, or did not open."""
        if opened is None:
            return None
        if self.shape == "dialogs":
            return opened.summary(self.scope)
        return opened.chat(self.scope) if self._needle is None or opened.says(self._needle) else None

    def encode(self, numbers: Iterable[int], rows: Sequence[Any]) -> bytes:
        """Return the rows as bytes; the numbers are those of the dialogs that they are of."""
        if not rows:
            return b""
        self._rows += len(rows)
        self.dialogs.update(numbers)
        return self._counted(self._encoder.block(rows))

    def finish(self) -> bytes:
        return self._counted(self._encoder.finish())

    def arrived(self) -> None:
        """The last byte was handed over: what was sent is the whole result."""
        self._is_complete = True

    @property
    def rows(self) -> int:
        """How many rows were encoded so far."""
        return self._rows

    @property
    def sha256(self) -> bytes:
        """The digest of all bytes so far."""
        return self._sha256.digest()

    def record(self, place: int, *, damaged: int) -> Export:
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
    """Walks over what this deployment keeps."""

    def __init__(self, store: DialogStore, exports: ExportStore, vault: Vault, access_log: AccessLog) -> None:
        self._store = store
        self._exports = exports
        self._vault = vault
        self._access_log = access_log
        self._turn = asyncio.Lock()

    async def run(self, stream: Stream, after: Position | None = None) -> AsyncGenerator[bytes]:
        """Yield the stream, block by block, after a row if one is named; the last block closes the format.

        What does not open is left out, and counted.
        """
        opener = Opener(self._vault, stream.scope)
        walk, place = Walk(await self._store.horizon(), after), await self._exports.place()
        begun, sent = _ACTIONS[stream.shape]
        asked = stream.wanted.asked() | {"watermark": walk.horizon}
        await self._access_log.write(stream.scope.by, begun, wanted=asked, subject=stream.id)
        try:
            async for data in self._walk(stream, walk, opener):
                yield data
        finally:
            record = stream.record(place, damaged=len(opener.damaged))
            note = self._access_log.note(
                stream.scope.by, sent, rows=record.rows, dialogs=stream.dialogs, subject=stream.id
            )
            await self._exports.add(record, note)

    async def _walk(self, stream: Stream, walk: Walk, opener: Opener) -> AsyncGenerator[bytes]:
        read = self._messages if stream.shape == "messages" else self._dialogs
        more, length = True, _FEW_ROWS
        while more:
            selection = walk.select(stream.wanted, stream.scope.purposes, stream.order, length)
            async with self._turn:  # streams share one thread's worth of the interpreter, however many there are
                data, last = await read(stream, selection, opener)
            more = last is not None
            walk = walk.past(stream.order, last)
            length = _length_after(data, length, _MOST_ROWS[stream.shape])
            if data:
                yield data
        yield stream.finish()
        stream.arrived()

    async def _messages(self, stream: Stream, selection: Selection, opener: Opener) -> tuple[bytes, Position | None]:
        def block(rows: Sequence[MessageRow], listed: Mapping[int, ListedDialog]) -> tuple[bytes, Position | None]:
            page, last = shown(rows, selection)
            found = stream.fitting(opener.messages(page, listed))
            data = stream.encode({row.dialog for row, _ in found}, [message for _, message in found])
            return data, None if last is None else last.position

        return await self._store.list_messages(selection, block)

    async def _dialogs(self, stream: Stream, selection: Selection, opener: Opener) -> tuple[bytes, Position | None]:
        words = stream.shape == "chat"

        def block(rows: Sequence[ListedDialog]) -> tuple[bytes, Position | None]:
            page, last = shown(rows, selection)
            found = [(dialog.number, stream.row_of(opener.open(dialog, words=words))) for dialog in page]
            fitting = {number: row for number, row in found if row is not None}
            data = stream.encode(fitting, list(fitting.values()))
            return data, None if last is None else Position(last.received_at, last.number)

        return await self._store.list_dialogs(selection, block, heads=words)


_ACTIONS: Final[Mapping[Shape, tuple[Action, Action]]] = {
    "messages": ("messages.streamed", "messages.sent"),
    "chat": ("messages.streamed", "messages.sent"),
    "dialogs": ("dialogs.streamed", "dialogs.sent"),
}


def _length_after(data: bytes, length: int, most: int) -> int:
    """Return how many rows the next block has, so that long rows take no more memory than short ones."""
    return max(1, length // 2) if len(data) > _MOST_BYTES else min(most, length * 2)
