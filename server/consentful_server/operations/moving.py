"""A deployment moves to another store: what `consentful move` does, in which order, and what it checks before.

    move ORIGIN TARGET             check ──► copy, while a server runs on the origin (`stores.copying`)
    move ORIGIN TARGET --finish    check ──► copy the rest, compare, fence the origin, put the target in use
                                         ──► open every dialog in the target, verify receipts and the access log
                                         ──► destroy the origin's dialog keys

Each step is found done, or is done again, by the next call of the command. The keys folder and its ledgers are the
target's from the fence on. A server that is started on the target compares it with them (`privacy.replay`), so
what was erased in the last moment before the fence stays erased.

The origin's keys go last, and only if every dialog opened: until then it is the one other copy. Afterwards an erasure
in the target leaves nothing that opens in the origin.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ..errors import BadDatabase
from ..keys import roots
from ..keys.roots import DEPLOYMENT
from ..keys.vault import SHREDDED
from ..keys.wrapping import PLAIN, Wrapping
from ..privacy.ledger import Ledgers
from ..service import keep_apart
from ..settings import Place
from ..stores.copying import Finished, Move, Tell, destroy_keys
from ..stores.store import Backend
from ..stores.tables import MOVING, Tables


async def copy(origin: Backend, target: Backend, keys_dir: Path, tell: Tell, wrapping: Wrapping = PLAIN) -> None:
    """Copy what the origin holds now, or the rest of it. A server may run on the origin.

    Raises:
        BadDatabase: If there is nothing to move, or it must not be moved there; the origin stays as it is.
        BadKeys: If the keys folder is not the origin's.
    """
    async with _opened(origin, target, keys_dir, tell, wrapping) as move:
        await move.begin()
        await move.copy()


async def finish(
    origin: Backend, target: Backend, keys_dir: Path, tell: Tell, wrapping: Wrapping = PLAIN
) -> Finished | None:
    """Complete the copy and put it in use instead of the origin; return what was compared.

    None if an earlier call has done so.

    Raises:
        BadDatabase: If the two differ, or as for `copy`; the origin stays in use.
        BadKeys: If the keys folder is not the origin's.
    """
    async with _opened(origin, target, keys_dir, tell, wrapping) as move:
        if await move.is_over():
            return None
        await move.begin()
        await move.copy()  # most of it before other writers have to wait
        return await move.finish()


async def close_origin(origin: Backend) -> int:
    """Destroy the dialog keys of an origin that was moved; return how many there were.

    Raises:
        BadDatabase: If it was not moved.
    """
    tables = await origin.tables()
    try:
        return await destroy_keys(tables, SHREDDED)
    finally:
        await tables.close()


@asynccontextmanager
async def _opened(
    origin: Backend, target: Backend, keys_dir: Path, tell: Tell, wrapping: Wrapping = PLAIN
) -> AsyncGenerator[Move]:
    keep_apart(Place(keys_dir=keys_dir), target)
    mine = await origin.tables()
    try:
        await _check_keys(mine, keys_dir, wrapping)
        copied = await target.tables(new=True)
        try:
            if mine.name == copied.name:
                raise BadDatabase(f"{mine.name} is both places; name two")
            yield Move(mine, copied, tell, deployment=DEPLOYMENT)
        finally:
            await copied.close()
    finally:
        await mine.close()


async def _check_keys(tables: Tables, keys_dir: Path, wrapping: Wrapping) -> None:
    """Check that the target can be opened with these keys, before anything is copied."""
    async with tables.transaction():
        facts = await tables.facts()
        epochs = [row async for rows in tables.rows("epochs", ["number", "emptied_at"]) for row in rows]
    if MOVING in facts:
        raise BadDatabase(f"{tables.name} is itself an unfinished copy; move from the original")
    if DEPLOYMENT not in facts:
        raise BadDatabase(f"{tables.name} holds no data yet; there is nothing to move")
    keys = await asyncio.to_thread(roots.load, keys_dir, wrapping)
    roots.check(keys, facts[DEPLOYMENT], roots.stated(facts, [number for number, at in epochs if at is not None], keys))
    Ledgers(keys_dir, {}).check()
