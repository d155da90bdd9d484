"""How long the ledger was when the latest transaction with entries committed, as a fact; in bytes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ...privacy.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3

_PREFIX: Final = "ledger "
_BYTES: Final = 8
_RECORD: Final = (
    "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(facts.value, excluded.value)"
)
_OURS: Final = f"name LIKE '{_PREFIX}%'"


def record(db: "sqlite3.Connection", ledger: Ledger) -> None:
    """Make the entries of a transaction durable, and record the length with them, in the same transaction.

    Raises:
        OSError: If the disk is full or fails.
    """
    length = ledger.grown_to
    if length is not None:
        db.execute(_RECORD, (_PREFIX + ledger.name, length.to_bytes(_BYTES, "big")))
    ledger.sync()


def lengths(db: "sqlite3.Connection") -> dict[str, int]:
    """Return the recorded lengths by the ledgers' names."""
    rows = db.execute(f"SELECT name, value FROM facts WHERE {_OURS}").fetchall()
    return {name.removeprefix(_PREFIX): int.from_bytes(value, "big") for name, value in rows}


def replace(db: "sqlite3.Connection", known: Mapping[str, int]) -> None:
    """Record these lengths instead of all others."""
    db.execute(f"DELETE FROM facts WHERE {_OURS}")
    values = [(_PREFIX + name, length.to_bytes(_BYTES, "big")) for name, length in known.items()]
    db.executemany("INSERT INTO facts VALUES (?, ?)", values)
