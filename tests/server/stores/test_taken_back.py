"""What a store promises of a consent that is narrowed and of a notice that is retired: applied, and in the ledger."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from consentful_server.access_log.chain import pack
from consentful_server.access_log.store import Note
from consentful_server.archive.narrowing import narrowed
from consentful_server.archive.opening import whole
from consentful_server.archive.store import StoredDialog
from consentful_server.auth.read_scope import ReadScope
from consentful_server.clock import to_micros
from consentful_server.consent.record import Record
from consentful_server.privacy.ledger import NAME, Entry, Ledger, NarrowedEntry, RetiredEntry
from consentful_server.statistics.store import Which
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from jotting import Jotting
from kinds import KINDS
from sealed import CATALOGUE, START, VAULT, candidate

NOW = to_micros(START + timedelta(days=1))


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    opened = await KINDS[request.param](tmp_path, FakeClock(START + timedelta(days=1)))
    yield opened
    await opened.close()


def ledger(folder: Path) -> list[Entry]:
    (path,) = folder.rglob(NAME)
    return list(Ledger(path))


async def narrow(store: Store, *purposes: str, note: Note | None = None) -> bool:
    def sign(record: Record, messages: int, _: bytes) -> str:
        return f"receipt for {record.purposes}, {messages} messages"

    return await store.dialogs.narrow("d-1", lambda stored: narrowed(VAULT, stored, purposes, sign), note)


async def test_a_dialog_is_narrowed_without_a_replay_and_opens_as_before(store: Store, tmp_path: Path) -> None:
    before = await store.dialogs.keep(candidate("d-1"))

    assert await narrow(store, "research")

    found = await store.dialogs.find("d-1")
    assert isinstance(found, StoredDialog)
    assert found.record == msgspec.structs.replace(before.record, purposes=("research",))
    assert found.receipt == "receipt for ('research',), 2 messages"
    assert (found.number, found.stored_at, found.wrapped) == (before.number, before.stored_at, before.wrapped)
    scope = ReadScope(identify=True)
    assert whole(VAULT, found, scope).messages == whole(VAULT, before, scope).messages
    assert NarrowedEntry("d-1", ("research",), NOW) in ledger(tmp_path)
    counted = await store.counters.dialogs(Which(), ())
    assert [(it.purposes, it.dialogs) for it in counted] == [(("research",), 1)]


@pytest.mark.parametrize("purposes", [("improve", "research"), ("more",), ("improve", "more")])
async def test_what_is_not_narrower_changes_nothing(store: Store, tmp_path: Path, purposes: tuple[str, ...]) -> None:
    before = await store.dialogs.keep(candidate("d-1"))

    assert not await narrow(store, *purposes)

    assert await store.dialogs.find("d-1") == before
    assert not [it for it in ledger(tmp_path) if isinstance(it, NarrowedEntry)]


async def test_the_store_knows_how_long_its_ledger_is(store: Store, tmp_path: Path) -> None:
    await store.dialogs.keep(candidate("d-1"))
    (path,) = tmp_path.rglob(NAME)
    before = await store.remains.ledgers()
    assert before == {NAME: path.stat().st_size}

    await store.dialogs.erase("d-1", "withdrawn")

    assert await store.remains.ledgers() == {NAME: path.stat().st_size}
    assert path.stat().st_size > before[NAME]
    await store.remains.set_ledgers({"erasures-2.ledger": 7})
    assert await store.remains.ledgers() == {"erasures-2.ledger": 7}


async def test_a_narrowing_and_its_entry_are_one_and_only_what_changes_is_noted(store: Store) -> None:
    kept = await store.dialogs.keep(candidate("d-1"))
    for purposes in (("research",), ("research",), ("improve",)):
        await narrow(store, *purposes, note=Jotting(action="dialog.narrowed"))

    (logged,) = await store.access_log.links(0, 10)
    assert logged.link.entry.action == "dialog.narrowed"
    assert logged.link.entry.dialogs == pack([kept.number])


async def test_a_dialog_is_found_by_its_withdrawal_code_stored_or_erased(store: Store) -> None:
    kept = await store.dialogs.keep(candidate("d-1"))
    hashes = [b"another", kept.withdrawal_hash]

    assert await store.dialogs.of_withdrawal(hashes) == await store.dialogs.find("d-1")
    await store.dialogs.erase("d-1", "withdrawn")
    assert await store.dialogs.of_withdrawal(hashes) == await store.dialogs.find("d-1") is not None
    assert await store.dialogs.of_withdrawal([b"another"]) is None


async def test_a_dialog_that_is_not_stored_is_not_narrowed(store: Store) -> None:
    assert not await narrow(store, "research")


async def test_a_replay_that_narrows_is_in_the_ledger_as_well(store: Store, tmp_path: Path) -> None:
    await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.keep(candidate("d-1", purposes=("improve",)))

    assert NarrowedEntry("d-1", ("improve",), NOW) in ledger(tmp_path)


async def test_a_retired_notice_is_in_the_ledger_with_the_one_shown_instead(store: Store, tmp_path: Path) -> None:
    await store.notices.add(CATALOGUE.wordings)
    later = [msgspec.structs.replace(it, id="n-2") for it in CATALOGUE.wordings]
    await store.notices.add(later)
    at = to_micros(START)

    assert await store.notices.retire("n-1", at=at)

    (entry,) = [it for it in ledger(tmp_path) if isinstance(it, RetiredEntry)]
    assert (entry.notice_id, entry.at, [it.id for it in entry.instead]) == ("n-1", at, ["n-2"])
    assert {it.id: it.retired_at for it in await store.notices.all()} == {"n-1": at, "n-2": None}
