"""Moving a store's data to another store, which may be of another kind, while a server runs on the first.

    FROM                                       TO
    in use ──copy──────────────────────────►   unfinished copy: dialogs, seals, access log; no key, opens nothing
      │                                          │ ▲ interrupted: goes on after its mark
      │    ──finish, one transaction:            │ │
      │      what changed, the keys, the rest ►  complete, unfinished
      │      every row compared                  │
      ▼                                          │
    fenced (its commit decides)                  ▼
      │                                        in use
      └─destroy_keys─► opens nothing

The keys are copied last, while nobody writes. So what a running server erases during the copy was never readable in the
copy, a rotation meanwhile concerns one store alone, and an abandoned copy discloses no text. Rows stay sealed all the
way: nothing here has a key that opens one. Numbers, places and the generation are the same afterwards, so each cursor
stays valid and continues where it was.

Races, and the line that closes each:

(R1) The command is killed: a block's rows and the mark behind them are one transaction of the copy. Whatever was
     written is behind the mark, and nothing is written twice.
(R2) Dialogs change behind the mark, erased or narrowed: all rows of `dialogs` are compared before the copy is complete.
     Nothing else of a dialog changes unless that row does, except its key. What was erased is deleted from the copy.
(R3) A server writes between the last block and the fence: both are in one transaction that excludes other writers.
(R4) The command is killed after the fence, before the copy is in use: FROM does not change any more. The next call
     finds the fence, compares again, and puts the copy in use.
(R5) Two commands move to one copy: each writes the mark only in place of the one that it read.
(R6) FROM is put back to an earlier state meanwhile: the mark knows its generation and how far its numbers were.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from ..errors import BadDatabase
from .store import GENERATION
from .tables import BY_DIALOG, BY_ENTRY, MOVED, MOVING, ROWS, Row, Tables

_DIALOGS: Final = 2_000
"""Numbers of dialogs in a block."""
_ENTRIES: Final = 20_000
_CREATED_FULL: Final = ("access_head",)
_DIGEST_BITS: Final = 256

Tell = Callable[[str, int, int], object]
"""Called with a step, and how much of it is done, of how much."""


class Mark(msgspec.Struct, frozen=True):
    """Which store a copy is of, and how far it is: dialogs and access-log entries up to these numbers are there."""

    deployment: bytes
    generation: bytes
    tables: Mapping[str, Sequence[str]]
    dialogs: int = 0
    entries: int = 0


class Finished(msgspec.Struct, frozen=True):
    """What was compared, and is the same in both: the number of rows of each table."""

    rows: Mapping[str, int]


class Move:
    """One move. `origin` and `copy` are open; `deployment` is the name of the fact that identifies a deployment."""

    def __init__(self, origin: Tables, copy: Tables, tell: Tell, *, deployment: str) -> None:
        self._origin = origin
        self._copy = copy
        self._tell = tell
        self._deployment = deployment
        self._mark = Mark(b"", b"", {})

    async def begin(self) -> None:
        """Check that the copy is one of this origin, or empty; then mark it.

        Raises:
            BadDatabase: If the copy holds something else, or the origin was put back to an earlier state.
        """
        async with self._origin.transaction():
            facts, columns, last = await self._origin.facts(), await self._origin.columns(), await self._origin.last()
        self._refuse_origin(facts)
        fresh = Mark(facts[self._deployment], facts.get(GENERATION, b""), columns)
        async with self._copy.transaction():
            known = await self._copy.facts()
            if MOVING not in known:
                await self._adopt(known, fresh)
                return
        self._mark = _decode(known[MOVING])
        self._refuse_mark(fresh, last)

    async def is_over(self) -> bool:
        """Return whether an earlier call has fenced the origin and put the copy in use: both may differ since."""
        async with self._origin.transaction():
            to = (await self._origin.facts()).get(MOVED)
        async with self._copy.transaction():
            facts = await self._copy.facts()
        return to == self._copy.name.encode() and self._deployment in facts and MOVING not in facts

    async def copy(self) -> None:
        """Copy the dialogs and the access log, as far as they are at the beginning. Others may write meanwhile."""
        async with self._origin.transaction():
            dialogs, entries = await self._origin.last()
        for within in _blocks(self._mark.dialogs):
            async with self._origin.transaction():
                await self._mend(within)
        while self._mark.dialogs < dialogs:
            async with self._origin.transaction():
                await self._copy_dialogs(dialogs)
        while self._mark.entries < entries:
            async with self._origin.transaction():
                await self._copy_entries(entries)

    async def finish(self) -> Finished:
        """Complete the copy, compare every row, fence the origin and put the copy in use. Others cannot write
        meanwhile.

        Raises:
            BadDatabase: If the two differ; the origin stays in use.
        """
        async with self._origin.exclusively():  # (R3)
            dialogs, entries = await self._origin.last()
            self._refuse_mark(self._mark, (dialogs, entries))
            for within in _blocks(self._mark.dialogs):
                await self._mend(within)
            while self._mark.dialogs < dialogs:
                await self._copy_dialogs(dialogs)
            while self._mark.entries < entries:
                await self._copy_entries(entries)
            async with self._copy.transaction():
                await self._copy_rest()
            async with self._copy.transaction():
                finished = await self._compare()
            if MOVED not in await self._origin.facts():
                await self._origin.state(MOVED, self._copy.name.encode())
                await self._origin.fence()
        async with self._copy.transaction():  # (R4)
            await self._copy.unstate(MOVING)
        return finished

    def _refuse_origin(self, facts: Mapping[str, bytes]) -> None:
        to = facts.get(MOVED, self._copy.name.encode()).decode()
        if to != self._copy.name:
            raise BadDatabase(f"{self._origin.name} was moved to {to}; move from there; nothing was changed")

    async def _adopt(self, known: Mapping[str, bytes], fresh: Mark) -> None:
        """Mark an empty store as the copy.

        Raises:
            BadDatabase: If it is not empty, or does not have the origin's tables.
        """
        if self._deployment in known:
            raise BadDatabase(
                f"{self._copy.name} is not empty: it holds a store of its own; name a new one; nothing was changed"
            )
        if await self._copy.columns() != fresh.tables:
            raise BadDatabase(f"{self._copy.name} has other tables than {self._origin.name}; nothing was changed")
        for table in _CREATED_FULL:
            await self._copy.clear(table)  # the only rows that a new store has, and the origin, too
        await self._copy.state(MOVING, _encode(fresh))
        self._mark = fresh

    def _refuse_mark(self, fresh: Mark, last: tuple[int, int]) -> None:
        mark = self._mark
        if mark.deployment != fresh.deployment:
            raise BadDatabase(
                f"{self._copy.name} is the unfinished copy of another deployment; name a new one; nothing was changed"
            )
        if mark.generation != fresh.generation or last[0] < mark.dialogs or last[1] < mark.entries:  # (R6)
            raise BadDatabase(
                f"{self._origin.name} was put back to an earlier state since the copy was begun; delete the copy"
                f" {self._copy.name}, and begin again; nothing was changed"
            )
        if mark.tables != fresh.tables:
            raise BadDatabase(
                f"{self._copy.name} was begun by another version of consentful; delete it, and begin again"
            )

    async def _copy_dialogs(self, end: int) -> None:
        """Copy the next block of dialogs, and move the mark behind it."""
        within = (self._mark.dialogs, min(self._mark.dialogs + _DIALOGS, end))
        async with self._copy.transaction():
            await self._move_mark(dialogs=within[1])  # (R1)
            for table in BY_DIALOG:
                await self._copy_rows(table, within)
        self._tell("dialogs", within[1], end)

    async def _copy_entries(self, end: int) -> None:
        within = (self._mark.entries, min(self._mark.entries + _ENTRIES, end))
        async with self._copy.transaction():
            await self._move_mark(entries=within[1])  # (R1)
            for table in BY_ENTRY:
                await self._copy_rows(table, within)
        self._tell("access log", within[1], end)

    async def _copy_rows(self, table: str, within: tuple[int, int] | None = None) -> None:
        columns = self._mark.tables[table]
        async for rows in self._origin.rows(table, columns, within):
            await self._copy.insert(table, columns, rows)

    async def _move_mark(self, *, dialogs: int | None = None, entries: int | None = None) -> None:
        before = self._mark
        self._mark = msgspec.structs.replace(
            before,
            dialogs=before.dialogs if dialogs is None else dialogs,
            entries=before.entries if entries is None else entries,
        )
        if not await self._copy.state(MOVING, _encode(self._mark), instead_of=_encode(before)):  # (R5)
            raise BadDatabase(f"{self._copy.name} is being written by another `consentful move`; let that one end")

    async def _mend(self, within: tuple[int, int]) -> None:
        """Copy again what changed behind the mark, and delete what was erased there (R2)."""
        columns = self._mark.tables["dialogs"]
        async with self._copy.transaction():
            mine = await _by_number(self._origin, columns, within)
            theirs = await _by_number(self._copy, columns, within)
            stale = [number for number, row in theirs.items() if mine.get(number) != row]
            if stale:
                await self._copy.delete_dialogs(stale)
            for number in sorted((mine.keys() & stale) | (mine.keys() - theirs.keys())):
                for table in BY_DIALOG:
                    await self._copy_rows(table, (number - 1, number))
        self._tell("changes", within[1], self._mark.dialogs)

    async def _copy_rest(self) -> None:
        """Copy the tables that are small, and the keys."""
        tables = [table for table in self._mark.tables if table not in BY_DIALOG and table not in BY_ENTRY]
        for place, table in enumerate(tables, 1):
            await self._copy.clear(table, (MOVING,) if table == "facts" else ())
            await self._copy_rows(table)
            self._tell("keys and the rest", place, len(tables))
        await self._copy.unstate(MOVED)
        await self._copy.go_on(await self._origin.series())

    async def _compare(self) -> Finished:
        """Compare every row of both stores.

        Raises:
            BadDatabase: If one differs.
        """
        counted: dict[str, int] = {}
        for place, (table, columns) in enumerate(self._mark.tables.items(), 1):
            mine, theirs = await _digest(self._origin, table, columns), await _digest(self._copy, table, columns)
            if mine != theirs:
                raise BadDatabase(
                    f"the table {table} of {self._copy.name} differs from that of {self._origin.name}"
                    f" ({theirs[0]:,} and {mine[0]:,} rows); {self._origin.name} stays in use; delete the copy, and"
                    " begin again"
                )
            counted[table] = mine[0]
            self._tell("comparing", place, len(self._mark.tables))
        if sorted(await self._origin.series()) != sorted(await self._copy.series()):
            raise BadDatabase(f"{self._copy.name} would give out other numbers than {self._origin.name}; begin again")
        return Finished(counted)


async def destroy_keys(origin: Tables, nothing: bytes) -> int:
    """Overwrite the dialog keys of a fenced store with `nothing`; return how many there were.

    Raises:
        BadDatabase: If it is not fenced.
    """
    async with origin.exclusively():
        if MOVED not in await origin.facts():
            raise BadDatabase(f"{origin.name} is still in use; nothing was destroyed")
        return await origin.destroy_keys(nothing)


def _blocks(end: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + ROWS, end)) for start in range(0, end, ROWS))


async def _by_number(tables: Tables, columns: Sequence[str], within: tuple[int, int]) -> dict[int, Row]:
    """Return the rows of dialogs by their numbers."""
    place = columns.index(BY_DIALOG["dialogs"])
    return {row[place]: row async for rows in tables.rows("dialogs", columns, within) for row in rows}


async def _digest(tables: Tables, table: str, columns: Sequence[str]) -> tuple[int, int]:
    """Return how many rows a table has, and a digest that is the same in whatever order they come: a sum of hashes."""
    count = digest = 0
    async for rows in tables.rows(table, columns):
        hashed = (hashlib.sha256(_row(row)).digest() for row in rows if table != "facts" or not _MARKS & set(row))
        for one in hashed:
            count += 1
            digest += int.from_bytes(one, "big")
    return count, digest % (1 << _DIGEST_BITS)


_MARKS: Final = frozenset({MOVING, MOVED})
_row: Final = msgspec.msgpack.Encoder().encode
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Mark).decode
