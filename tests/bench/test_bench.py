"""The benchmarks measure what they say. At this size no figure tells how fast anything is, but all of them add up:
both sides were measured, what the clients counted the server has counted too, and nobody claims time that did not pass.
"""

import json
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from bench import __main__ as command
from bench import child, client, dialogs, export, ingest, postgres
from bench.figure import Figure, Measured
from bench.plan import Plan
from documented import served
from postgres_server import PostgresServer, server

Servers: TypeAlias = dict[str, child.Child]
Figures: TypeAlias = Callable[[str], list[Figure]]

OURS, STORELESS, BARE, FRAMES = "consentful_server", "bench.peers.storeless", "bench.peers.bare", "bench.peers.frames"
LIVE = ("dialogs", "at_once", "consent", "ingest", "workers")
HELD = ("memory", "ack", "many")
"""These are measured while clients hold dialogs open, by what these clients say meanwhile."""
LOADED = (*LIVE, *HELD, "page", "postgres", "meanwhile")
ALONE = ("store", "erase", "export", "filters", "move")
"""These need no client in C."""


class Run(NamedTuple):
    """What a client was told to do, what it measured, and how long that took by another clock."""

    program: str
    port: int
    options: dict[str, Any]
    result: dict[str, float]
    wall_s: float


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One of each server for all benchmarks, started at once and on any core: starting them is what takes time."""
    plan = Plan(tmp_path_factory.mktemp("bench"))
    starting = {
        OURS: child.ours(plan, *ingest.NO_LIMITS),
        STORELESS: child.ours(plan, module=STORELESS),
        BARE: child.start(BARE, "--body", "1000"),
        FRAMES: child.start(FRAMES),
    }
    with ExitStack() as running, pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "sched_setaffinity", _leave_alone)
        with ThreadPoolExecutor() as threads:
            started = list(threads.map(running.enter_context, starting.values()))
        yield dict(zip(starting, started, strict=True))


def _leave_alone(_pid: int, _cores: object) -> None:
    pass


@pytest.fixture
def plan(tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan of the smallest size, with servers that are there already; one on a folder runs in this process."""
    start = child.start

    def ours(_: Plan, *_flags: str, module: str = OURS, **_more: object) -> AbstractContextManager[child.Child]:
        return nullcontext(servers[module])

    @contextmanager
    def on_folder(places: tuple[str, ...], *_flags: str) -> Generator[child.Child]:
        with served(Path(places[places.index("--data-dir") + 1]).parent) as url:
            yield child.Child(os.getpid(), urlsplit(url).port or 0)

    def start_once(module: str, *arguments: str) -> AbstractContextManager[child.Child]:
        return nullcontext(servers[module]) if module in servers else start(module, *arguments)

    def shared(*_: object) -> AbstractContextManager[PostgresServer]:
        return nullcontext(server())

    monkeypatch.setattr(postgres, "started", shared)
    monkeypatch.setattr(child, "ours", ours)
    monkeypatch.setattr(child, "on_folder", on_folder)
    monkeypatch.setattr(child, "start", start_once)
    return Plan(tmp_path, rounds=1, scale=0.002)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """What the clients did, from now on."""
    seen: list[Run] = []
    run = client.run

    def watched(plan: Plan, program: str, port: int, **options: Any) -> dict[str, float]:
        began = time.perf_counter()
        result = run(plan, program, port, **options)
        seen.append(Run(program, port, options, result, time.perf_counter() - began))
        return result

    monkeypatch.setattr(client, "run", watched)
    return seen


def get(url: str) -> bytes:
    with urlopen(url, timeout=30) as answer:
        return answer.read()


def stored(server: child.Child) -> int:
    """Return how many dialogs the server has stored, as it says itself."""
    name = b'consentful_dialogs_ended_total{outcome="stored"} '
    lines = get(f"http://127.0.0.1:{server.port}/metrics").splitlines()
    return sum(int(float(line.removeprefix(name))) for line in lines if line.startswith(name))


def kept(plan: Plan, name: str, path: str) -> list[dict[str, Any]]:
    """Return the items that a server answers with on what a benchmark left behind in its folder of this name."""
    (folder,) = plan.folder.glob(f"*-{name}")
    with served(folder) as url:
        return json.loads(get(url + path))["items"]


def add_up(rows: Sequence[Measured], figures: list[Figure]) -> None:
    """See that each of the figures has two sides, or is one that has no other, and that the ratio is theirs."""
    assert {row.figure for row in rows} == set(figures)
    assert len(rows) == len(figures)
    for row in rows:
        assert (row.peer is not None) == (" / " in row.figure.name), row
        assert 0 < row.ours < math.inf, row
        assert 0 < row.ratio < math.inf, row
        assert row.ratio == pytest.approx(row.ours / (row.peer or 1)), row  # there is one round


def test_every_benchmark_is_tested() -> None:
    assert {*LOADED, *ALONE, "growth", "attacks"} == set(command.NAMES)  # these two have tests of their own


@pytest.mark.usefixtures("clients")
class TestLoaded:
    @pytest.mark.parametrize("name", LOADED)
    def test_figures_add_up_and_server_and_clients_agree(
        self, name: str, plan: Plan, servers: Servers, runs: list[Run], figures: Figures
    ) -> None:
        before = {module: stored(servers[module]) for module in (OURS, STORELESS)}

        rows = command.benchmark(name)(plan)

        add_up(rows, [figure for figure in figures(name) if not self.is_left_out(figure, plan)])
        assert runs or name in HELD
        for run in runs:
            assert run.options.get("seconds", 0) <= run.result["seconds"] <= run.wall_s
            assert run.result.get("messages", 0) + run.result.get("requests", 0) > 0
            assert run.result["dialogs"] == run.options.get("dialogs", 0)
            for what in ("ack", "stored", "request", "consent"):
                assert 0 <= run.result.get(f"{what}_p50", 0) <= run.result.get(f"{what}_p99", 0) <= run.wall_s
        for module, at_first in before.items():
            said = sum(run.result["dialogs"] for run in runs if run.port == servers[module].port)
            assert stored(servers[module]) - at_first == said

    def is_left_out(self, figure: Figure, plan: Plan) -> bool:
        """Whether the plan's notes name the peer that the figure has on its other side."""
        peer = figure.name.partition(" / ")[2].partition(",")[0].lower()
        return any(note.startswith(f"{peer}_design was left out: ") for note in plan.notes)

    def test_a_peer_that_is_missing_is_named_with_what_it_needs(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        absent = ("gunicorn", "fastapi", "uvicorn", "httptools")
        monkeypatch.setattr(dialogs, "find_spec", lambda name: None if name in absent else find_spec("json"))  # pyright: ignore

        rows = dialogs.measure(plan)

        assert len(rows) == 5
        assert [note for note in plan.notes if "left out" in note] == [
            "flask_design was left out: gunicorn not installed",
            "fastapi_design was left out: fastapi, uvicorn, httptools not installed",
        ]

    def test_without_storage_nothing_is_kept(self, servers: Servers, plan: Plan) -> None:
        load = {"sockets": 1, "dialogs": 1, "messages": 1}
        kept_by = {
            module: client.run(plan, "load", servers[module].port, **load)
            and json.loads(get(f"http://127.0.0.1:{servers[module].port}/v1/dialogs?limit=1"))["items"]
            for module in (OURS, STORELESS)
        }

        assert len(kept_by[OURS]) == 1
        assert kept_by[STORELESS] == []

    def test_what_is_measured_of_ten_times_the_data_is_in_ten_times_the_data(
        self, plan: Plan, figures: Figures
    ) -> None:
        add_up(command.benchmark("growth")(plan), figures("growth"))

        for size in (10, 100, 1000):
            log = kept(plan, f"{size}-dialogs", "/v1/access-log?action=messages.sent")
            assert [entry["rows"] for entry in log] == [10 * size + 5], "each is exported once"
            erased = kept(plan, f"{size}-dialogs", "/v1/erasures?limit=1000")
            assert len({entry["dialog_id"] for entry in erased}) == 2 * 5, "in the round that counts, and before it"

    def test_exports_run_while_others_consent(self, plan: Plan) -> None:
        command.benchmark("meanwhile")(plan)

        log = kept(plan, "meanwhile", "/v1/access-log?action=messages.sent")
        assert len(log) >= 2 * 3, "three of them, in each of two turns"
        assert all(entry["rows"] >= 20 * 10 for entry in log)

    def test_what_is_refused_is_no_figure(self, plan: Plan, servers: Servers) -> None:
        with pytest.raises(RuntimeError, match=r"fetch .*'/nowhere'.*: refused: HTTP/1\.1 404"):
            client.run(plan, "fetch", servers[BARE].port, path="/nowhere", seconds=0.1)
        with pytest.raises(RuntimeError, match=r'load .*: refused: .*"code":"limit"'):
            client.run(plan, "load", servers[STORELESS].port, window=8, bytes=3000, seconds=10)

    def test_a_client_that_was_busy_is_noted(
        self, plan: Plan, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "_BUSY", 0.0)

        client.run(plan, "load", servers[FRAMES].port, sockets=1, seconds=0.1)

        (note,) = plan.notes
        assert note.startswith("the client was busy ")
        assert note.endswith(": the server may be faster than shown")


class TestAlone:
    def test_what_is_timed_as_stored_is_stored(self, plan: Plan, figures: Figures) -> None:
        add_up(command.benchmark("store")(plan), figures("store"))

        (counted,) = kept(plan, "store", "/v1/stats")
        assert counted["dialogs"] == 2 * (1 + 100), "in the round that counts, and in the one that is thrown away"

    def test_what_is_timed_as_erased_is_gone(self, plan: Plan, figures: Figures) -> None:
        add_up(command.benchmark("erase")(plan), figures("erase"))

        assert kept(plan, "few", "/v1/stats") == []
        assert len(kept(plan, "few", "/v1/erasures?limit=1000")) == 2 * 100
        assert len(kept(plan, "many", "/v1/erasures?limit=1000")) == 2 * 1

    def test_what_is_timed_as_exported_is_all_there_is(self, plan: Plan, figures: Figures) -> None:
        add_up(command.benchmark("export")(plan), figures("export"))

        log = kept(plan, "rows", "/v1/access-log?action=messages.sent")
        assert [entry["rows"] for entry in log] == [200] * (1 + 2 * 4)

    def test_what_is_timed_as_moved_has_arrived(self, plan: Plan, figures: Figures) -> None:
        add_up(command.benchmark("move")(plan), figures("move"))

        (counted,) = kept(plan, "move", "/v1/stats")
        assert counted["dialogs"] == 200

    def test_an_export_that_is_refused_is_no_figure(self, plan: Plan) -> None:
        with child.on_folder(("--data-dir", str(plan.new_folder("none") / "data"))) as server:
            assert export.stream(server.port, "csv") > 0
            with pytest.raises(RuntimeError, match=r"no export as xml: HTTP/1\.\d 406"):
                export.stream(server.port, "xml")


class TestCompiler:
    def test_a_client_is_compiled_once(self, clients: dict[str, Path]) -> None:
        assert {name: client.build(name) for name in clients} == clients
        assert client.build.cache_info().misses == len(clients)

    def test_without_one_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client.shutil, "which", lambda _: None)  # pyright: ignore

        with pytest.raises(client.NoCompiler, match=r"no C compiler \(gcc or cc\)"):
            client.build.__wrapped__("load")
