"""The law as behaviour that can be seen, named after the article; docs/privacy.md lists these and all others."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import pytest
from aiohttp import ClientSession

from consentful.wire import Error
from consentful_server.app import drain
from consentful_server.archive.store import Tombstone
from consentful_server.clock import to_micros
from consentful_server.consent.notices import Wording
from consentful_server.errors import StorageFailed
from consentful_server.service import Service
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served
from kept import bearer, keep, texts
from live import Live

Way: TypeAlias = Callable[[Live, Served, FakeClock], Awaitable[None]]


async def hang_up(live: Live, _service: Served, _clock: FakeClock) -> None:
    await live.socket.close()


async def stay_silent(live: Live, service: Served, clock: FakeClock) -> None:
    clock.advance(900)
    service.service.registry.tick(clock.monotonic())
    assert await live.closed() == 4508


async def talk_on(live: Live, service: Served, clock: FakeClock) -> None:
    for _ in range(6):
        clock.advance(600)
        await live.say("and another thing")
    service.service.registry.tick(clock.monotonic())
    assert await live.closed() == 4513


async def shut_down(live: Live, service: Served, _clock: FakeClock) -> None:
    await asyncio.gather(drain(service.service), live.until_closed())


async def talk_nonsense(live: Live, _service: Served, _clock: FakeClock) -> None:
    for _ in range(20):
        await live.send_raw(b'{"type":"consent","granted":"yes"}')
    _, code = await live.until_closed()
    assert code == 4500


WAYS: Final[list[Way]] = [hang_up, stay_silent, talk_on, shut_down, talk_nonsense]


@pytest.mark.parametrize("settings", [{"grace": 0, "max_duration": 3600}], ids=[""])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_art_4_11_and_7_whatever_ends_a_dialog_without_a_yes_stores_nothing(
    live: Live, service: Served, clock: FakeClock, way: Way
) -> None:
    await live.open()
    await live.say("nobody agreed to this")

    await way(live, service, clock)

    assert await service.service.store.dialogs.horizon() == 0


@pytest.mark.parametrize("settings", [{"auth": "keys"}], ids=[""])
@pytest.mark.usefixtures("two_purposes")
async def test_art_5_1_b_and_6_1_a_a_credential_reads_what_was_granted_for_a_purpose_of_its_own(
    http: ClientSession, service: Served
) -> None:
    await keep(service.service, "d-1", ["to improve"], purposes=["improve"])
    await keep(service.service, "d-2", ["for research"], purposes=["research"])
    improve, research = [
        await service.create_key("data:read", name=purpose, purposes=(purpose,)) for purpose in ("improve", "research")
    ]

    assert await texts(http, token=improve) == ["to improve"]
    assert await texts(http, token=research) == ["for research"]
    for token, other in ((improve, "d-2"), (research, "d-1")):
        async with http.get(f"/v1/dialogs/{other}", headers=bearer(token)) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"open","customer_id":"c-1","email":"alice@marker.example"}',
        '{"type":"message","seq":1,"text":"Hi","ip":"marker"}',
        '{"type":"consent","granted":true,"last_seq":1,"device":"marker"}',
    ],
    ids=["open", "message", "consent"],
)
async def test_art_5_1_c_and_25_a_field_that_is_not_declared_is_refused_and_stored_nowhere(
    live: Live, service: Served, frame: str
) -> None:
    is_open = '"open"' in frame
    if not is_open:
        await live.open("customer-4711")
        await live.say("Hi")

    await live.send_raw(frame.encode())
    assert (await live.receive(Error)).code == "frame"
    if is_open:
        await live.open("customer-4711")
        await live.say("Hi")
    await live.grant()

    files = b"".join(path.read_bytes() for path in (service.folder / "data").iterdir())
    assert b"customer-4711" not in files  # which is sealed; a shorter one can be part of a dialog's id
    assert b"marker" not in files


TABLES: Final = ("dialogs", "dialog_keys", "seals", "messages")


@pytest.mark.parametrize("table", TABLES)
async def test_art_6_wherever_storing_breaks_off_there_is_no_dialog_without_its_consent_record(
    service: Served, table: str
) -> None:
    database = connect(service.folder / "data" / "consentful.db")
    database.execute(f"CREATE TRIGGER break_off AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'here'); END")
    with pytest.raises(StorageFailed):
        await keep(service.service, "d-1")
    left = [database.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in TABLES]
    database.execute("DROP TRIGGER break_off")
    await keep(service.service, "d-1")
    (record,) = database.execute(
        "SELECT customer, notice_sha256, purposes, given_by, decided_at, receipt FROM dialogs"
    ).fetchall()
    database.close()

    assert left == [0, 0, 0, 0]
    assert all(record)


async def test_art_7_4_a_no_changes_nothing_else_for_the_customer(dial: Callable[..., Awaitable[Live]]) -> None:
    async def visit(*, says_yes: bool) -> tuple[Any, ...]:
        live = await dial()
        opened = await live.open("c-1")
        await live.say("Hi")
        await (live.grant() if says_yes else live.decline())
        return opened.notice, opened.limits

    yes, no, afterwards = [await visit(says_yes=says_yes) for says_yes in (True, False, True)]

    assert yes == no == afterwards


async def test_art_7_3_a_used_code_says_that_the_dialog_is_erased_and_when(
    http: ClientSession, service: Served, clock: FakeClock
) -> None:
    stored = await keep(service.service, "d-1")
    clock.advance(60)
    answers: list[Any] = []
    for _ in range(2):
        async with http.post("/v1/withdrawals", json={"code": stored.withdrawal_code}) as response:
            answers.append((response.status, await response.json()))
        clock.advance(3600)

    assert answers[0] == answers[1]
    assert answers[0] == (200, {"dialog_id": "d-1", "erased_at": "2026-01-01T00:01:00Z", "status": "unreadable"})


async def test_art_17_3_e_a_tombstone_has_what_proves_the_past_consent_and_nothing_of_the_customer(
    service: Served, clock: FakeClock
) -> None:
    stored = await keep(service.service, "d-1", ["a secret"], customer_id="alice")
    decided = to_micros(clock.now())
    wording = wording_of(service.service)
    clock.advance(60)

    await service.service.archive.withdraw(stored.withdrawal_code)

    stone = await service.service.store.dialogs.find("d-1")
    assert isinstance(stone, Tombstone)
    assert (stone.reason, stone.messages, stone.purposes) == ("withdrawn", 1, wording.purposes)
    assert (stone.decided_at, stone.erased_at) == (decided, decided + 60_000_000)
    assert stone.notice_sha256 == wording.sha256
    assert stone.receipt_sha256 == hashlib.sha256(stored.receipt.encode()).digest()
    files = b"".join(path.read_bytes() for path in (service.folder / "data").iterdir())
    assert b"d-1" in files
    for gone in (b"a secret", b"alice", service.service.archive.pseudonym("alice").encode(), stored.receipt.encode()):
        assert gone not in files


def wording_of(service: Service) -> Wording:
    return service.catalogue.for_language("en")
