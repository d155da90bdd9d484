"""A folder of Parquet files that follows what the service keeps, erasures included (GDPR art. 19).

`part-N.parquet` hold the messages in the order of commit, `.consentful.json` where the walk stands. A part takes its
name when it is whole, and the walk moves on after that: a call that was stopped is done over, under the same name.
"""

import asyncio
import fcntl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from . import filters, tables
from .filters import Asked
from .http_client import HttpClient
from .pages import Pages
from .rows import Erasure, KeptMessage

_STATE: Final = ".consentful.json"
_LOCK: Final = ".consentful.lock"
_PART_ROWS: Final = 65_536


class Synced(msgspec.Struct, frozen=True):
    """What one call changed: messages that came, and messages that went because their dialogs were erased."""

    added: int
    erased: int


class _State(msgspec.Struct):
    """Where the walk stands."""

    filters: dict[str, Any]
    part: int = 0
    messages: str | None = None
    erasures: str | None = None


class Mirror:
    """One folder."""

    def __init__(self, client: HttpClient, folder: Path, wanted: Mapping[str, Any]) -> None:
        if wanted.get("order", "stored") != "stored":
            raise ValueError("a copy is kept in the order of commit; leave `order` out")
        self._client = client
        self._folder = folder
        self._asked = filters.messages({**wanted, "order": "stored"})
        tables.needed("pyarrow")

    async def sync(self) -> Synced:
        """Bring the folder up to date. What is erased while this runs is gone with it, or with the next call."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with _locked(self._folder / _LOCK), tables.Progress("messages") as progress:
            state = self._state()
            added = await self._append(state, progress)
            return Synced(added, await self._remove(state))  # last: a page may hold what was erased after it was read

    def _state(self) -> _State:
        place = self._folder / _STATE
        wanted = dict(self._asked.values)
        if not place.exists():
            return _State(wanted)
        state = msgspec.json.decode(place.read_bytes(), type=_State)
        if state.filters != wanted:
            raise ValueError("this folder holds a copy with other filters; sync each into a folder of its own")
        return state

    def _keep(self, state: _State) -> None:
        fresh = self._folder / f"{_STATE}.new"
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self._folder / _STATE)

    async def _append(self, state: _State, progress: tables.Progress) -> int:
        """Write what is new, a part at a time; return how many messages that is."""
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
            if rows or not state.part:  # an empty copy can be read too
                await asyncio.to_thread(_write, tables.of(rows), self._folder / f"part-{state.part:06}.parquet")
                state.part += 1
            state.messages = pages.cursor
            self._keep(state)
            added += len(rows)
        return added

    async def _remove(self, state: _State) -> int:
        """Take out what was erased; return how many messages that was.

        To ask from a place on says that everything before it has gone, so that is asked once more at the end.
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
            self._keep(state)
            if not found and pages.cursor == before:
                return erased


def _without(part: Path, dialogs: set[str]) -> int:
    """Take the rows of these dialogs out of a part; return how many there were."""
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
    fresh = part.with_name(f".{part.name}.new")  # whoever reads the folder passes over it
    tables.needed("pyarrow.parquet").write_table(table, fresh, compression="zstd")
    fresh.replace(part)


@contextmanager
def _locked(place: Path) -> Generator[None]:
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
