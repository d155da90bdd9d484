"""Lists and statistics from a streaming standby: what is told is as fresh as it must be, and goes on without it."""

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from consentful.wire import Consent
from consentful_server.access_log.chain import Actor
from consentful_server.archive.query import Filter, Selection
from consentful_server.archive.store import ListedDialog
from consentful_server.auth.read_scope import ReadScope
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadDatabase
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.statistics.store import Which
from consentful_server.stores.postgres.replica import MOST_LAG, PAUSE_S
from consentful_server.testing import FakeClock, serve
from kept import annotate, noted
from sealed import CATALOGUE, spoken

from .database import DatabaseServer, database_server, url_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

READER = ReadScope(by=Actor("ann"))
_numbers = itertools.count()


class Pair:
    """A primary and its standby, for all tests; each has a database of its own."""

    def __init__(self, primary: DatabaseServer, standby: DatabaseServer) -> None:
        self.primary = primary
        self.standby = standby

    async def catch_up(self) -> None:
        """Return when the standby has what the primary has now."""
        place = await self.primary.ask("SELECT pg_current_wal_lsn()::text")
        while not await self.standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{place}'::pg_lsn"):
            pass

    async def fall_behind(self) -> None:
        """Let the standby have what the primary has now, and nothing of what follows."""
        await self.catch_up()
        await self.standby.ask("SELECT pg_wal_replay_pause()")
        while await self.standby.ask("SELECT pg_get_wal_replay_pause_state()") != "paused":
            pass

    async def go_on(self) -> None:
        await self.standby.ask("SELECT pg_wal_replay_resume()")
        await self.catch_up()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncGenerator[Pair]:
    async with database_server("127.0.0.1") as primary, database_server("127.0.0.1") as standby:
        await primary.create()
        await standby.follow(primary)
        yield Pair(primary, standby)


@pytest_asyncio.fixture(loop_scope="module")
async def settings(pair: Pair, tmp_path: Path) -> AsyncGenerator[Settings]:
    name = f"replicated{next(_numbers)}"
    await pair.primary.ask(f"CREATE DATABASE {name}", database="postgres")
    await pair.catch_up()
    yield Settings(
        database=url_of(pair.primary.place, name),
        read_database=url_of(pair.standby.place, name),
        data_dir=tmp_path / "data",
        keys_dir=tmp_path / "keys",
    )
    await pair.standby.start()  # it may have been killed
    await pair.go_on()


@asynccontextmanager
async def serving(settings: Settings, pair: Pair, clock: FakeClock) -> AsyncGenerator[Service]:
    """A service whose replica has all that it stores at first: d-1, d-2 and d-3."""
    async with open_service(settings, clock) as service:
        await service.offer.add(CATALOGUE.wordings)
        for number in (1, 2, 3):
            await keep(service, f"d-{number}")
        await pair.catch_up()
        clock.advance(PAUSE_S)  # it had no tables when it was first asked
        yield service


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def keep(service: Service, dialog_id: str, *purposes: str) -> None:
    dialog = spoken(dialog_id)
    granted = dialog.decide(Consent(True, 2, purposes=list(purposes) or None), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def shown(service: Service, scope: ReadScope = READER) -> set[str]:
    """Return the ids of the dialogs on a page; a page of messages and one of chats have the same."""
    dialogs = await service.pages.dialogs(Filter(), scope, order="newest", limit=100)
    messages = await service.pages.messages(Filter(), scope, order="newest", limit=100, view=list)
    found = {it.dialog_id for it in dialogs.items}
    assert {it.dialog_id for it in messages.items} == found
    assert {it.text for it in messages.items} <= {"Hi", "Hello"}
    return found


async def counted(service: Service) -> int:
    return sum(it.dialogs for it in await service.store.counters.dialogs(Which(), ()))


def avoided(service: Service) -> float | None:
    return service.metrics.registry.get_sample_value("consentful_replica_avoided")


async def test_lists_and_statistics_are_the_replicas_and_single_dialogs_the_primarys(
    settings: Settings, pair: Pair, clock: FakeClock
) -> None:
    async with serving(settings, pair, clock) as service:
        await pair.fall_behind()
        await keep(service, "d-4")

        assert await shown(service) == {"d-1", "d-2", "d-3"}
        assert await counted(service) == 3
        assert (await service.pages.dialog("d-4", READER)).messages[0].text == "Hi"

        await pair.go_on()
        assert await shown(service) == {"d-1", "d-2", "d-3", "d-4"}
        assert await counted(service) == 4


async def test_what_was_erased_or_narrowed_is_not_shown_although_the_replica_has_it(
    settings: Settings, pair: Pair, clock: FakeClock
) -> None:
    async with serving(settings, pair, clock) as service:
        for dialog_id in ("d-1", "d-3"):
            await annotate(service, dialog_id, "Seen")
        await pair.catch_up()
        await pair.fall_behind()
        await service.archive.erase("d-1", "withdrawn")
        assert await shown(service) == {"d-2", "d-3"}
        assert await noted(service) == {"d-3": "Seen"}

        await keep(service, "d-2", "research")  # the customer narrows it
        improving = ReadScope(by=Actor("ann"), purposes=("improve",))
        assert await shown(service, improving) == {"d-3"}
        assert await shown(service, ReadScope(by=Actor("ann"), purposes=("research",))) == {"d-2", "d-3"}


async def test_a_walk_below_a_horizon_that_the_replica_has_not_reached_misses_nothing(
    settings: Settings, pair: Pair, clock: FakeClock
) -> None:
    def named(dialogs: Sequence[ListedDialog], more: bool) -> list[str]:
        assert not more
        return [it.record.dialog_id for it in dialogs]

    async with serving(settings, pair, clock) as service:
        await pair.fall_behind()
        await keep(service, "d-4")
        dialogs = service.store.dialogs
        horizon = await dialogs.horizon()
        behind, reached = await dialogs.list_dialogs(
            Selection(filter=Filter(), order="stored", horizon=None, limit=10), named
        )
        assert behind == ["d-1", "d-2", "d-3"]
        assert reached < horizon

        whole, _ = await dialogs.list_dialogs(
            Selection(filter=Filter(), limit=10, order="stored", horizon=horizon), named
        )

        assert whole == ["d-1", "d-2", "d-3", "d-4"]


async def test_keys_of_an_epoch_that_the_replica_has_not_seen_are_the_primarys(
    settings: Settings, pair: Pair, clock: FakeClock
) -> None:
    async with serving(settings, pair, clock) as service:
        await pair.fall_behind()
        assert await service.rotation.turn()
        await keep(service, "d-4")

        assert await shown(service) == {"d-1", "d-2", "d-3"}  # the replica's rows, opened with today's keys


async def test_a_replica_too_far_behind_is_avoided_until_it_has_caught_up(
    settings: Settings, pair: Pair, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(settings, pair, clock) as service:
        await pair.fall_behind()
        clock.advance(MOST_LAG.total_seconds() + PAUSE_S)
        await keep(service, "d-4")
        with caplog.at_level(logging.WARNING, "consentful.store"):
            assert await shown(service) == {"d-1", "d-2", "d-3", "d-4"}
            assert await counted(service) == 4
        (warning,) = [it for it in caplog.records if "replica" in it.getMessage()]
        assert vars(warning)["why"] == "it is too far behind"
        assert avoided(service) == 1

        await pair.go_on()
        clock.advance(PAUSE_S)
        await pair.fall_behind()
        await keep(service, "d-5")
        assert await shown(service) == {"d-1", "d-2", "d-3", "d-4"}
        assert avoided(service) == 0


async def test_a_replica_that_is_gone_is_done_without(
    settings: Settings, pair: Pair, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(settings, pair, clock) as service:
        assert await shown(service) == {"d-1", "d-2", "d-3"}
        await pair.standby.killed()
        await keep(service, "d-4")
        with caplog.at_level(logging.WARNING, "consentful.store"):
            assert await shown(service) == {"d-1", "d-2", "d-3", "d-4"}
        assert [vars(it)["why"] for it in caplog.records if "replica" in it.getMessage()] == ["a read failed"]

    async with open_service(settings, clock) as service:  # also at a start
        assert await shown(service) == {"d-1", "d-2", "d-3", "d-4"}
        await pair.standby.start()
        await pair.catch_up()
        clock.advance(PAUSE_S)
        await pair.fall_behind()
        await keep(service, "d-5")
        assert await shown(service) == {"d-1", "d-2", "d-3", "d-4"}


async def test_an_export_has_all_that_was_stored_when_it_began(
    settings: Settings, pair: Pair, clock: FakeClock
) -> None:
    async with serving(settings, pair, clock):
        pass
    given: dict[str, Any] = {name: getattr(settings, name) for name in ("database", "read_database", "keys_dir")}
    async with serve(clock=clock, **given) as served, ClientSession(served.url) as http:
        await pair.fall_behind()
        await keep(served.service, "d-4")
        await served.service.archive.erase("d-2", "withdrawn")
        async with http.get("/v1/messages", headers={"Accept": "application/x-ndjson"}) as response:
            rows = [json.loads(line) for line in (await response.text()).splitlines()]

    assert sorted(row["dialog_id"] for row in rows) == ["d-1", "d-1", "d-3", "d-3", "d-4", "d-4"]
    assert {row["text"] for row in rows} == {"Hi", "Hello"}


async def test_another_database_is_no_replica(settings: Settings, pair: Pair, clock: FakeClock, tmp_path: Path) -> None:
    other = f"other{next(_numbers)}"
    await pair.primary.ask(f"CREATE DATABASE {other}", database="postgres")
    elsewhere = Settings(
        database=url_of(pair.primary.place, other), data_dir=tmp_path / "data", keys_dir=tmp_path / "other keys"
    )
    async with open_service(elsewhere, clock) as service:
        await keep(service, "d-9")
    given = Settings(
        database=settings.database, read_database=elsewhere.database, data_dir=tmp_path, keys_dir=settings.keys_dir
    )

    async with serving(given, pair, clock) as service:
        assert await shown(service) == {"d-1", "d-2", "d-3"}


async def test_a_standby_is_refused_as_the_database_in_one_line(settings: Settings, clock: FakeClock) -> None:
    settings = Settings(database=settings.read_database, data_dir=settings.data_dir, keys_dir=settings.keys_dir)

    with pytest.raises(BadDatabase) as refused:
        async with asyncio.timeout(60), open_service(settings, clock):
            pass

    assert "is a replica, which cannot be written; name the primary server" in refused.value.detail
    assert "\n" not in refused.value.detail
    assert not settings.keys_dir.exists()
