"""A move to another database: everything arrives, nothing that was taken back comes along, and nothing is in both."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import OPERATOR
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.errors import BadDatabase, BadKeys, Erased, StorageFailed
from consentful_server.operations import moving
from consentful_server.stores import copying
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import serve
from kept import get, keep, noted
from places import PAIRS, Kind, content, fill, opened, place_of, untold, url_of

KILLED = Path(__file__).with_name("killed_move.py")


async def copy(here: str, there: str, folder: Path) -> None:
    await moving.copy(place_of(here), place_of(there), folder / "keys", untold)


async def finish(here: str, there: str, folder: Path) -> copying.Finished | None:
    return await moving.finish(place_of(here), place_of(there), folder / "keys", untold)


async def two(origin: Kind, target: Kind, folder: Path) -> tuple[str, str]:
    return await url_of(origin, folder, "a"), await url_of(target, folder, "b")


@pytest.mark.parametrize(("origin", "target"), PAIRS)
async def test_what_happens_during_the_copy_is_in_the_target_as_well(
    origin: Kind, target: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_DIALOGS", 7)
    here, there = await two(origin, target, tmp_path)
    await fill(here, tmp_path, 20)
    async with opened(here, tmp_path) as running:
        await copy(here, there, tmp_path)
        assert (await content(there))["dialog_keys"] == []  # it opens nothing yet
        await running.archive.erase("d-2", "withdrawn", by=OPERATOR)
        await keep(running, "d-3", ["Hi 3", "Hello"], customer_id="c-3", language="en", purposes=["improve-chatbot"])
        await running.archive.decline("d-99", "c-99", owner="local", retract=True)
        await keep(running, "d-21", ["New"], language="fr")
        await copy(here, there, tmp_path)
        await running.archive.erase("d-4", "withdrawn", by=OPERATOR)
        await keep(running, "d-22", ["Newer"], language="fr")
        await running.rotation.turn()
        before = await content(here)

        finished = await finish(here, there, tmp_path)

        assert finished is not None
        assert finished.rows["dialogs"] == 20
        assert await content(there) == before == await content(here)
        with pytest.raises(StorageFailed):
            await keep(running, "d-23", ["Too late"])
        with pytest.raises(StorageFailed):
            await running.archive.erase("d-5", "withdrawn", by=OPERATOR)
        with pytest.raises(StorageFailed):
            await running.store.probe()
    assert await content(here) == before
    async with opened(there, tmp_path) as moved:
        for erased in ("d-2", "d-4"):
            assert isinstance(await moved.archive.find(erased), Tombstone)
            with pytest.raises(Erased):
                await keep(moved, erased, ["Hi"])
        for stored in ("d-1", "d-5", "d-22"):
            assert isinstance(await moved.archive.find(stored), StoredDialog)
        expected = {f"d-{number}": f"Note {number}" for number in range(1, 21) if number not in (2, 4)}
        assert await noted(moved) == expected
        await keep(moved, "d-23", ["In time"])
        assert (await moved.access_log.check()).fault is None


@pytest.mark.parametrize(("origin", "target"), PAIRS[:2])
async def test_cursors_stay_valid_and_the_feed_and_the_log_continue(origin: Kind, target: Kind, tmp_path: Path) -> None:
    here, there = await two(origin, target, tmp_path)
    await fill(here, tmp_path, 6)
    read: dict[str, list[str]] = {"/v1/dialogs": [], "/v1/erasures": []}
    cursors: dict[str, str] = {}

    async def follow(http: ClientSession) -> None:
        for path, seen in read.items():
            ordered = {"order": "stored"} if path == "/v1/dialogs" else {}
            at = {"cursor": cursors[path]} if path in cursors else {}
            page = await get(http, path, limit=100, **ordered, **at)
            seen += [row["dialog_id"] for row in page["items"]]
            cursors[path] = page["next"]

    async with serve(folder=tmp_path, database=here) as served, ClientSession(served.url) as http:
        await served.service.archive.erase("d-1", "withdrawn", by=OPERATOR)
        await follow(http)
        head = await served.service.access_log.head()
    await copy(here, there, tmp_path)
    await finish(here, there, tmp_path)
    async with serve(folder=tmp_path, database=there) as served, ClientSession(served.url) as http:
        assert await served.service.access_log.head() == head
        await keep(served.service, "d-7")
        await served.service.archive.erase("d-2", "withdrawn", by=OPERATOR)
        await follow(http)
        assert (await served.service.access_log.check(head)).fault is None

    assert read == {"/v1/dialogs": ["d-2", "d-3", "d-4", "d-5", "d-6", "d-7"], "/v1/erasures": ["d-1", "d-2"]}


def kill_and_repeat(here: str, there: str, folder: Path, kills: int) -> int:
    """Run a move that is killed at its N-th write, again and again, until it gets through; return how often it was."""
    random, killed = Random(kills), 0
    for number in (*(random.randint(1, 30) for _ in range(kills)), 10_000):
        status, _ = run_killed(here, there, folder, number)
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        if not status:
            break
    return killed


def run_killed(here: str, there: str, folder: Path, number: int) -> tuple[int, str]:
    """Run a move that is killed at this write; return its status and what it printed."""
    command = [sys.executable, KILLED, here, there, folder / "keys", str(number)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("pair", "kills"),
    [(PAIRS[0], 3), (PAIRS[1], 3), *(pytest.param(pair, 40, marks=pytest.mark.prove) for pair in PAIRS)],
)
async def test_a_move_that_is_killed_goes_on_where_it_was(pair: tuple[Kind, Kind], kills: int, tmp_path: Path) -> None:
    here, there = await two(*pair, tmp_path)
    await fill(here, tmp_path, 20)
    async with opened(here, tmp_path) as service:
        await service.archive.erase("d-5", "withdrawn", by=OPERATOR)
    before = await content(here)

    killed = kill_and_repeat(here, there, tmp_path, kills)

    assert killed
    assert await content(there) == before == await content(here)
    with pytest.raises(BadDatabase, match="was moved to"):
        async with opened(here, tmp_path):
            pass
    async with opened(there, tmp_path) as moved:
        assert isinstance(await moved.archive.find("d-6"), StoredDialog)


@pytest.mark.parametrize("number", range(1, 4))
async def test_a_move_that_is_killed_around_the_fence_is_completed(number: int, tmp_path: Path) -> None:
    """Killed when the fence is set and not committed, when it is, and when the copy is in use but not for all."""
    here, there = await two("sqlite", "sqlite", tmp_path)
    await fill(here, tmp_path, 3)
    before = await content(here)
    writes = _writes(here, tmp_path)

    assert run_killed(here, there, tmp_path, writes - number + 1)[0] == -signal.SIGKILL
    await finish(here, there, tmp_path)

    assert await content(there) == before
    assert await finish(here, there, tmp_path) is None


def _writes(here: str, folder: Path) -> int:
    """Return at how many writes a move of this database could be killed."""
    counted = folder / "counted"
    counted.mkdir()
    trial = f"sqlite:///{counted / 'consentful.db'}"
    with closing(connect(Path(here.removeprefix("sqlite:///")))) as db:
        db.execute("VACUUM INTO ?", (str(counted / "origin.db"),))
    _, left = run_killed(f"sqlite:///{counted / 'origin.db'}", trial, folder, -1)
    return -1 - int(left)


async def test_a_copy_that_two_commands_write_gets_each_row_once(tmp_path: Path) -> None:
    here, there = await two("sqlite", "sqlite", tmp_path)
    await fill(here, tmp_path, 3)
    await copy(here, there, tmp_path)
    async with opened(here, tmp_path) as running:
        await keep(running, "d-4")
    origin, first, second = [await place_of(url).tables() for url in (here, there, there)]
    moves = [copying.Move(origin, it, untold, deployment="deployment") for it in (first, second)]
    try:
        for move in moves:
            await move.begin()
        await moves[0].copy()
        with pytest.raises(BadDatabase, match="another `consentful move`"):
            await moves[1].copy()
    finally:
        for tables in (origin, first, second):
            await tables.close()

    await finish(here, there, tmp_path)
    assert await content(there) == await content(here)


async def test_a_target_with_a_store_of_its_own_is_refused(tmp_path: Path) -> None:
    here, there = await two("sqlite", "postgres", tmp_path)
    await fill(here, tmp_path, 2)
    await fill(there, tmp_path, 1)
    before = await content(there)

    with pytest.raises(BadDatabase, match="is not empty"):
        await copy(here, there, tmp_path)

    assert await content(there) == before


async def test_a_copy_of_another_deployment_is_refused(tmp_path: Path) -> None:
    here, there = await two("sqlite", "sqlite", tmp_path)
    other = await url_of("sqlite", tmp_path / "other", "a")
    await fill(here, tmp_path, 2)
    await fill(other, tmp_path / "other", 2)
    await copy(other, there, tmp_path / "other")

    with pytest.raises(BadDatabase, match="of another deployment"):
        await copy(here, there, tmp_path)
    with pytest.raises(BadKeys, match="not the one"):
        await copy(other, there, tmp_path)


async def test_an_unfinished_copy_is_opened_by_nobody(tmp_path: Path) -> None:
    targets: list[Kind] = ["sqlite", "postgres"]
    for target in targets:
        here, there = await two("sqlite", target, tmp_path / target)
        await fill(here, tmp_path / target, 2)
        await copy(here, there, tmp_path / target)

        with pytest.raises(BadDatabase, match="unfinished copy"):
            async with opened(there, tmp_path / target):
                pass
        with pytest.raises(BadDatabase, match="itself an unfinished copy"):
            await copy(there, await url_of("sqlite", tmp_path / target, "c"), tmp_path / target)


async def test_an_origin_that_was_put_back_is_not_mixed_with_its_copy(tmp_path: Path) -> None:
    here, there = await two("sqlite", "sqlite", tmp_path)
    await fill(here, tmp_path, 2)
    path, earlier = Path(here.removeprefix("sqlite:///")), tmp_path / "earlier.db"
    with closing(connect(path)) as db:
        db.execute("VACUUM INTO ?", (str(earlier),))
    async with opened(here, tmp_path) as running:
        await keep(running, "d-3")
    await copy(here, there, tmp_path)
    for old in path.parent.glob("consentful.db*"):
        old.unlink()
    earlier.replace(path)

    with pytest.raises(BadDatabase, match="put back to an earlier state"):
        await copy(here, there, tmp_path)


async def test_a_copy_that_was_altered_is_not_put_in_use(tmp_path: Path) -> None:
    here, there = await two("sqlite", "sqlite", tmp_path)
    await fill(here, tmp_path, 3)
    await copy(here, there, tmp_path)
    with closing(connect(Path(there.removeprefix("sqlite:///")))) as db:
        db.execute("DELETE FROM messages WHERE dialog = 2 AND seq = 2")

    with pytest.raises(BadDatabase, match=r"messages .* differs .*5 and 6 rows.* stays in use"):
        await finish(here, there, tmp_path)

    async with opened(here, tmp_path) as service:
        await keep(service, "d-4")


async def test_an_origin_of_another_schema_is_refused(tmp_path: Path) -> None:
    here, there = await two("sqlite", "sqlite", tmp_path)
    await fill(here, tmp_path, 1)
    with closing(connect(Path(here.removeprefix("sqlite:///")))) as db:
        db.execute("INSERT INTO schema_migrations VALUES (999, 'later', '')")

    with pytest.raises(BadDatabase, match="schema 999"):
        await copy(here, there, tmp_path)
