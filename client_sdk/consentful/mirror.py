"""A local copy of the stored messages, as a folder of Parquet files that follows the service, erasures included.

    part-000000.parquet …   the messages in commit order, about 65,000 in each
    .consentful.json        the next part's number, the cursor of the messages, the cursor of the feed of erasures

One call of `sync` first appends new messages, then removes erased dialogs (GDPR art. 19). Its steps, and what a call
that was stopped after each leaves:

    write part n           a part that the state does not count; the next call writes it again under the same name
    save the cursor        part n counts
    rewrite older parts    some are rewritten; the next call reads the same erasures again, and rewrites the rest
    save the feed cursor   the next request from this cursor confirms the erasures to the service

A service that was restored from a backup refuses both cursors: dialogs in the copy may be lost there, so that no feed
names them, and a later erasure could not reach them. The copy is made again, from nothing.

    delete the parts       the cursors are refused again, so the next call goes on here
    forget the cursors     the first call over again

A file gets its name when it is complete. Nothing is fsynced: the copy can be made again from the service.

Races, and the line that closes each:

(R1) Two processes sync one folder: the second fails with BlockingIOError, because the first holds a lock on the
     folder's lock file. The lock ends with its process.
(R2) Another program reads the folder meanwhile: renaming replaces a part at once, and dataset readers skip the
     temporary files, whose names begin with a dot.
(R3) A dialog is erased after its page was read: the erasures are read last, so the same call removes it, or the next
     one.
(R4) An answer is lost and the page is requested again: the cursor moves only when a page has arrived, and is saved
     together with the part's number, so no message is in two parts.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from . import filters, tables
from .errors import Refused
from .filters import Asked
from .folder_lock import locked
from .http_client import HttpClient
from .pages import Pages
from .rows import Erasure, KeptMessage

_STATE: Final = ".consentful.json"
_LOCK: Final = ".consentful.lock"
_PART_ROWS: Final = 65_536
_RESTORED: Final = "restored"


class Synced(msgspec.Struct, frozen=True):
    """The result of one call: messages added, and messages removed because their dialogs were erased.

    `is_anew`: the service was restored from a backup, so the copy was deleted first, and all its messages were added.
    """

    added: int
    erased: int
    is_anew: bool = False


class _State(msgspec.Struct):
    """The state between two calls: the filters, the number of the next part, and two cursors."""

    filters: dict[str, Any]
    part: int = 0
    messages: str | None = None
    erasures: str | None = None


class Mirror:
    """The local copy in one folder."""

    def __init__(self, client: HttpClient, folder: Path, wanted: Mapping[str, Any]) -> None:
        if wanted.get("order", "stored") != "stored":
            raise ValueError("a copy is always in commit order; leave `order` out")
        self._client = client
        self._folder = folder
        self._asked = filters.messages({**wanted, "order": "stored"})
        tables.needed("pyarrow")

    async def sync(self) -> Synced:
        """Bring the folder up to date. A dialog that is erased meanwhile is removed by this call or the next.

        Raises:
            BlockingIOError: If another process syncs this folder.
            ValueError: If the folder holds a copy with other filters.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / _LOCK), tables.Progress("messages") as progress:  # (R1)
            state = self._state()
            try:
                return await self._follow(state, progress)
            except Refused as refusal:
                if refusal.code != _RESTORED:
                    raise
            state = self._start_over()
            return msgspec.structs.replace(await self._follow(state, progress), is_anew=True)

    async def _follow(self, state: _State, progress: tables.Progress) -> Synced:
        added = await self._append(state, progress)
        return Synced(added, await self._remove(state))  # (R3) after the messages

    def _start_over(self) -> _State:
        """Delete every part of the copy, and return the state of a new one."""
        for part in self._folder.glob("part-*.parquet"):
            part.unlink()
        state = _State(dict(self._asked.values))
        self._save(state)  # after the parts: with the old cursors, a call that was stopped here starts over again
        return state

    def _state(self) -> _State:
        place = self._folder / _STATE
        wanted = dict(self._asked.values)
        if not place.exists():
            return _State(wanted)
        state = msgspec.json.decode(place.read_bytes(), type=_State)
        if state.filters != wanted:
            raise ValueError("this folder holds a copy with other filters; use a separate folder for each")
        return state

    def _save(self, state: _State) -> None:
        fresh = self._folder / f"{_STATE}.new"
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self._folder / _STATE)

    async def _append(self, state: _State, progress: tables.Progress) -> int:
        """Write new messages, one part at a time; return how many."""
        pages = Pages(self._client, self._asked, KeptMessage, state.messages)
        added = 0
        is_over = False
        while not is_over:
            rows: list[KeptMessage] = []
            while len(rows) < _PART_ROWS:
                page = await pages.take()
                if page is None:
                    is_over = True
                    break
                rows += page
                progress.add(len(page))
            if rows or not state.part:  # an empty copy has one empty part, so that it can be read
                await asyncio.to_thread(_write, tables.of(rows), self._folder / f"part-{state.part:06}.parquet")
                state.part += 1
            state.messages = pages.cursor
            self._save(state)  # (R4) with the part's number
            added += len(rows)
        return added

    async def _remove(self, state: _State) -> int:
        """Remove the messages of erased dialogs; return how many.

        Asking from a cursor confirms all erasures before it, so the last cursor is asked from once more.
        """
        erased = 0
        while True:
            before = state.erasures
            pages = Pages(self._client, Asked("v1/erasures"), Erasure, before)
            found = await pages.take() or []
            gone = {erasure.dialog_id for erasure in found}
            for part in sorted(self._folder.glob("part-*.parquet")) if gone else ():
                erased += await asyncio.to_thread(_without, part, gone)
            state.erasures = pages.cursor
            self._save(state)
            if not found and pages.cursor == before:
                return erased


def _without(part: Path, dialogs: set[str]) -> int:
    """Remove the rows of these dialogs from a part; return how many."""
    pq, pc = tables.needed("pyarrow.parquet"), tables.needed("pyarrow.compute")
    pa = tables.needed("pyarrow")
    values = pa.array(sorted(dialogs), pa.string())
    if not pc.any(pc.is_in(pq.read_table(part, columns=["dialog_id"])["dialog_id"], value_set=values)).as_py():
        return 0
    table = pq.ParquetFile(part).read()
    left = table.filter(pc.invert(pc.is_in(table["dialog_id"], value_set=values)))
    _write(left, part)
    return table.num_rows - left.num_rows


def _write(table: Any, part: Path) -> None:
    fresh = part.with_name(f".{part.name}.new")  # (R2)
    tables.needed("pyarrow.parquet").write_table(table, fresh, compression="zstd")
    fresh.replace(part)
