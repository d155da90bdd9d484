"""How long the ledgers were when the latest transactions with entries committed, as facts; in bytes."""

import asyncio
from collections.abc import Mapping
from typing import Final

from ...errors import StorageFailed
from ...privacy.ledger import Ledger
from .connection import Connection

_PREFIX: Final = "ledger "
_BYTES: Final = 8
_RECORD: Final = (
    "INSERT INTO facts SELECT $1, $2"
    " WHERE $4 = '' OR EXISTS (SELECT 1 FROM leases WHERE name = $3 AND holder = $4)"
    " ON CONFLICT (name) DO UPDATE SET value = greatest(facts.value, excluded.value)"
)


async def record(db: Connection, ledger: Ledger) -> None:
    """Make the entries of a transaction durable, and record the length with them, in the same transaction.

    Raises:
        StorageFailed: If another process has claimed this ledger meanwhile (`ledger_claim`, R2).
        OSError: If the disk is full or fails.
    """
    length = ledger.grown_to
    if length is None:
        return
    value = length.to_bytes(_BYTES, "big")
    if await db.execute(_RECORD, _PREFIX + ledger.name, value, ledger.name, ledger.holder) != "INSERT 0 1":
        ledger.forget()  # or the transaction that claims another ledger would fail as well
        raise StorageFailed
    await asyncio.to_thread(ledger.sync)


async def lengths(db: Connection) -> dict[str, int]:
    """Return the recorded lengths by the ledgers' names."""
    rows = await db.fetch("SELECT name, value FROM facts WHERE starts_with(name, $1)", _PREFIX)
    return {name.removeprefix(_PREFIX): int.from_bytes(value, "big") for name, value in rows}


async def replace(db: Connection, known: Mapping[str, int]) -> None:
    """Record these lengths instead of all others."""
    await db.execute("DELETE FROM facts WHERE starts_with(name, $1)", _PREFIX)
    values = [(_PREFIX + name, length.to_bytes(_BYTES, "big")) for name, length in known.items()]
    await db.executemany("INSERT INTO facts VALUES ($1, $2)", values)
