"""Two processes on one PostgreSQL, both due to rotate and to purge: one does it, and nothing is lost or done twice."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from consentful.wire import Consent
from consentful_server.archive.store import Tombstone
from consentful_server.auth.read_scope import ReadScope
from consentful_server.dialogs.dialog import Granted
from consentful_server.keys.masters import FileMasters
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock
from postgres_server import database_of
from sealed import CATALOGUE, START, spoken

LATER = timedelta(days=8)
PROCESS = """
import asyncio, json, logging, sys
from datetime import datetime
from pathlib import Path
from consentful_server.privacy.retention import Retention
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock

seen = []

class Seen(logging.Handler):
    def emit(self, record):
        seen.append(record.getMessage())

for name in ("consentful.rotation", "consentful.retention"):
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(Seen())

async def main(database, home, now):
    clock = FakeClock(datetime.fromisoformat(now))
    settings = Settings(database=database, data_dir=Path(home) / "data", keys_dir=Path(home) / "keys")
    async with open_service(settings, clock) as service:
        store = service.store
        retention = Retention(service.archive, store.dialogs, store.leases, store.trusted_time, clock)
        print("ready", flush=True)
        sys.stdin.readline()
        await retention.tick()
        while len(await service.rotation._living()) > 1 or await service.rotation.tick():
            await service.rotation.tick()
    print(json.dumps(seen), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def keep(service: Service, dialog_id: str, at: datetime) -> None:
    dialog = spoken(dialog_id, at=at)
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def test_two_processes_rotate_and_purge_once(tmp_path: Path) -> None:
    settings = Settings(database=await database_of(tmp_path), data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    old = [f"old-{number}" for number in range(20)]
    new = [f"new-{number}" for number in range(20)]
    async with open_service(settings, FakeClock(START - timedelta(days=25))) as service:
        for dialog_id in old:  # CATALOGUE's notice keeps them for 30 days
            await keep(service, dialog_id, START - timedelta(days=25))
    async with open_service(settings, FakeClock(START)) as service:
        for dialog_id in new:
            await keep(service, dialog_id, START)
    now = START + LATER
    arguments = ("-c", PROCESS, settings.database, str(tmp_path), now.isoformat())
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    seen: list[list[str]] = [json.loads(output) for output, _ in outputs]

    assert sorted(chain(*seen)) == ["epoch began", "epoch ended", "purged"]
    assert set(FileMasters(settings.keys_dir).all()) == {2}
    async with open_service(settings, FakeClock(now)) as service:
        for dialog_id in old:
            assert isinstance(await service.store.dialogs.find(dialog_id), Tombstone)
        for dialog_id in new:
            assert (await service.pages.dialog(dialog_id, ReadScope())).messages[0].text == "Hi"
        entries = await service.store.exports.erased(0, 100)
        assert sorted(it.dialog_id for it in entries) == sorted(old)


async def test_an_operator_does_not_rotate_while_another_process_does(tmp_path: Path) -> None:
    settings = Settings(database=await database_of(tmp_path), data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with open_service(settings, clock) as one, open_service(settings, clock) as other:

        async def meanwhile() -> bool:
            return await other.rotation.turn()

        assert await one.rotation.alone(meanwhile) is False
        assert set(FileMasters(settings.keys_dir).all()) == {1}

        assert await other.rotation.turn()
        assert await one.rotation.turn()
        assert set(FileMasters(settings.keys_dir).all()) == {3}


async def test_an_epoch_that_ended_leaves_the_lease_to_others(tmp_path: Path) -> None:
    settings = Settings(database=await database_of(tmp_path), data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    clock = FakeClock(START)
    async with open_service(settings, clock) as one, open_service(settings, clock) as other:
        clock.advance(LATER.total_seconds())
        while await one.rotation.tick():
            pass

        assert await other.rotation.turn()
        assert set(FileMasters(settings.keys_dir).all()) == {3}
