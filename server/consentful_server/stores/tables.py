"""A store table by table, for a move to another one: rows as they are, sealed, without a rule that reads them.

Both kinds of store have the same tables with the same columns (`shared`), and rows of one are rows of the other.

    a store's facts     what it is
    neither             in use
    MOVING              the unfinished copy of another store; nobody may open it
    DECOMMISSIONED      all of it was destroyed
    MOVED               fenced: its data are elsewhere, and the database refuses every change, by a running server too
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias

from ..errors import BadDatabase

MOVING: Final = "moving"
"""The name of the fact that an unfinished copy states, with the copy's mark."""
MOVED: Final = "moved"
"""The name of the fact that a fenced store states, with the name of the store that has its data."""
DECOMMISSIONED: Final = "decommissioned"
"""The name of the fact that a store states of which everything else was destroyed."""

Row: TypeAlias = Sequence[Any]

BY_DIALOG: Final[Mapping[str, str]] = {
    "dialogs": "id",
    "seals": "dialog",
    "messages": "dialog",
    "dialog_kinds": "dialog",
}
"""Tables of many rows, and their column with the dialog's number. A row changes only if its dialog's changes."""
BY_ENTRY: Final[Mapping[str, str]] = {"access_log": "number", "access_values": "number"}
"""Tables that only grow, and their column with the entry's number."""
NUMBERED: Final[Mapping[str, str]] = {**BY_DIALOG, **BY_ENTRY}
KEYS: Final = "dialog_keys"
NOT_MOVED: Final = frozenset({"leases"})
"""Tables that tell of running processes."""

AT_ONCE: Final[Mapping[str, int]] = {"seals": 100}
ROWS: Final = 5_000
"""Rows that are in memory at a time; the texts of a dialog can take a mebibyte."""

_KINDS_WITHIN: Final = (
    "(SELECT DISTINCT kind, dialog FROM messages WHERE dialog > {} AND dialog <= {}) m"
    " JOIN dialog_kinds USING (kind, dialog)"
)
"""`dialog_kinds` has no index by dialog. What a dialog has there follows from its messages."""


class Tables(Protocol):
    """An opened store. Everything but `transaction` and `exclusively` happens inside one of the two."""

    @property
    def name(self) -> str:
        """The name for messages to operators, the same wherever the command runs."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Read as of one moment, and write completely or not at all; durable after it.

        Raises:
            BadDatabase: If the store fails. Nothing was written, or all of it.
        """
        ...

    def exclusively(self) -> AbstractAsyncContextManager[None]:
        """As `transaction`, and nobody else writes meanwhile: other writers wait, and then fail.

        Raises:
            BadDatabase: If the store fails, or others write without a pause.
        """
        ...

    async def columns(self) -> Mapping[str, Sequence[str]]:
        """Return the tables that hold data, and the columns of each, in the order of their names."""
        ...

    async def facts(self) -> dict[str, bytes]: ...

    async def state(self, name: str, value: bytes, instead_of: bytes | None = None) -> bool:
        """Record a fact. With `instead_of`, only if it has that value; return whether it had."""
        ...

    async def unstate(self, name: str) -> None:
        """Delete a fact."""
        ...

    async def last(self) -> tuple[int, int]:
        """Return the last number given to a dialog, and the number of the last entry in the access log."""
        ...

    async def series(self) -> list[tuple[str, int]]:
        """Return the last number given out of each kind: of dialogs, and of places in the feed of erasures."""
        ...

    async def go_on(self, series: Sequence[tuple[str, int]]) -> None:
        """Continue each kind of number after this one."""
        ...

    def rows(
        self, table: str, columns: Sequence[str], within: tuple[int, int] | None = None
    ) -> AsyncIterator[list[Row]]:
        """Yield a table's rows; with `within`, those whose number is above the first and at most the second.

        Dialogs come in the order of their numbers.
        """
        ...

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None: ...

    async def delete_dialogs(self, numbers: Sequence[int]) -> None:
        """Delete these dialogs' rows from the tables `BY_DIALOG`."""
        ...

    async def clear(self, table: str, beside: Sequence[str] = ()) -> None:
        """Delete a table's rows; of facts, all but those with the names `beside`."""
        ...

    async def fence(self) -> None:
        """Let the database refuse every change from now on, whoever makes it."""
        ...

    async def destroy_keys(self, nothing: bytes) -> int:
        """Overwrite every dialog key of a fenced store with `nothing`; return how many there were."""
        ...

    async def close(self) -> None: ...


def selected(table: str, columns: Sequence[str], within: tuple[int, int] | None) -> str:
    """Return the statement of `Tables.rows`, which is the same for both kinds of store."""
    what = f"SELECT {listed(columns)} FROM"
    if within is None:
        return f"{what} {table}"
    if table == "dialog_kinds":
        return f"{what} {_KINDS_WITHIN.format(*within)}"
    number = NUMBERED[table]
    return f"{what} {table} WHERE {number} > {within[0]} AND {number} <= {within[1]} ORDER BY {number}"


def listed(columns: Sequence[str]) -> str:
    """Return columns as a statement names them."""
    return ", ".join(f'"{column}"' for column in columns)


def refuse_moved(facts: Mapping[str, bytes], name: str) -> None:
    """Check that the store is in use.

    Raises:
        BadDatabase: If it is an unfinished copy, or its data are elsewhere or destroyed.
    """
    if DECOMMISSIONED in facts:
        raise BadDatabase(f"{name} was decommissioned, and its data destroyed; name another one with --database")
    if MOVING in facts:
        raise BadDatabase(
            f"{name} is an unfinished copy: complete it with `consentful move FROM TO --finish`, or delete it; "
            "nothing was changed"
        )
    if MOVED in facts:
        raise BadDatabase(
            f"{name} was moved to {facts[MOVED].decode()}; name that one with --database; nothing was changed"
        )
