"""Who was shown some dialogs: told by the log, of which only those parts are read that have to do with them."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from pyroaring import BitMap

from consentful_server.access_log.chain import pack
from consentful_server.access_log.store import ShortEntry, Trace
from consentful_server.access_log.views import Recipient
from consentful_server.exports import recipients as module
from consentful_server.exports.recipients import Recipients
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from jotting import Jotting
from kinds import KINDS
from sealed import START

_CHUNK: Final = 10


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Store]:
    monkeypatch.setattr(module, "_CHUNK", _CHUNK)
    opened = await KINDS[request.param](tmp_path, FakeClock(START))
    yield opened
    await opened.close()


async def log(store: Store, who: str, *dialogs: int, minute: int = 0) -> None:
    await store.access_log.add(Jotting(who, at=START + timedelta(minutes=minute), dialogs=pack(dialogs)))


def counting(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that each read of the log appends the number of its entries to."""
    read: list[int] = []
    short = store.access_log.short

    async def counted(trace: Trace, after: int, limit: int) -> list[ShortEntry]:
        found = await short(trace, after, limit)
        read.append(len(found))
        return found

    monkeypatch.setattr(store.access_log, "short", counted)
    return read


async def test_of_a_long_log_only_what_disclosed_the_dialogs_is_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counting(store, monkeypatch)
    recipients = Recipients(store.access_log)
    for number in range(95):
        await log(store, "ann" if number in (12, 81) else "ben", 7 if number in (12, 81) else 1000, minute=number)
    at_first = await recipients.of(BitMap([7]))
    assert sum(read) == 95 + 2 * _CHUNK
    read.clear()

    await log(store, "cid", 7, 8, minute=95)
    later = await recipients.of(BitMap([7, 8, 9]))

    (ann,) = at_first
    assert (ann.who, ann.dialogs) == ("ann", 1)
    assert (ann.first_at, ann.last_at) == (START + timedelta(minutes=12), START + timedelta(minutes=81))
    cid = Recipient(who="cid", first_at=START + timedelta(minutes=95), last_at=START + timedelta(minutes=95), dialogs=2)
    assert later == [ann, cid]
    assert sum(read) == 1 + 2 * _CHUNK + 6, "the new entry, and the three chunks in which the dialogs were shown"


async def test_whoever_was_shown_nothing_of_them_is_no_recipient(store: Store) -> None:
    await log(store, "ann", 1, 2)
    await store.access_log.add(Jotting("ben", "request.access", dialogs=pack([3])))

    assert await Recipients(store.access_log).of(BitMap([3, 4])) == []
    assert await Recipients(store.access_log).of(BitMap()) == []


async def test_of_several_who_ask_at_once_one_reads_the_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counting(store, monkeypatch)
    recipients = Recipients(store.access_log)
    for number in range(5):
        await log(store, "ann", number)

    await asyncio.gather(recipients.refresh(), recipients.refresh(), recipients.refresh())

    assert sum(read) == 5
    assert recipients.dialogs_of("ann") == BitMap(range(5))
