"""Several workers as one service: what is killed, what drains, and the one page of metrics; on every kind of store."""

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from certificates import make_pair
from kept import get
from live import Live, connect
from needs import need
from postgres_server import database_of

from .serving import Said, serving, start, until_said

END_S = 60
CANNOT_WRITE = {"storage", "unknown"}
"""Codes of a store that cannot write. The outcome of the first COMMIT is unknown if its rows could not be removed from
the WAL either.
"""


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    return ("--database", await database_of(tmp_path)) if request.param == "postgres" else ()


@pytest.fixture
def workers(unused_tcp_port: int) -> tuple[str, ...]:
    return ("--workers", "2", "--port", str(unused_tcp_port), "--grace", "600")


@asynccontextmanager
async def dialogs(http: ClientSession, number: int) -> AsyncGenerator[list[Live]]:
    """Open dialogs, each on a connection of its own. Most probably, each worker has some."""
    async with AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(connect(http, "")) for _ in range(number)]
        for live in lives:
            await live.open()
            await live.say("Hi")
        yield lives


async def page(http: ClientSession) -> str:
    async with http.get(
        "/metrics", headers={"Connection": "close"}
    ) as response:  # the next one may meet another worker
        assert response.status == 200
        return await response.text()


def value(page: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    assert found, name
    return float(found[1])


def complaints(page: str) -> str:
    """Return what promtool says against a page of metrics."""
    command = [need("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=page, text=True, capture_output=True, check=False)
    return done.stdout + done.stderr


def pids(said: Said) -> list[int]:
    return [json.loads(line)["pid"] for line in said if "worker started" in line]


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except (FileNotFoundError, ProcessLookupError):  # it may end between being opened and being read
        return False
    return "\nState:\tZ" not in status  # ended, and nobody has asked how


async def test_a_killed_worker_is_replaced_and_every_page_tells_of_all(
    store: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    async with serving(*workers, *store) as (url, said, child), ClientSession(url) as http:
        async with dialogs(http, 8) as lives:
            assert value(await page(http), "consentful_dialogs_live") == 8
            for live in lives:
                await live.grant()
                await live.closed()
        before = [await page(http) for _ in range(6)]

        os.kill(pids(said)[0], signal.SIGKILL)
        await until_said(child, said, '"serving"')

        async with dialogs(http, 4):  # the ones of a killed worker were counted as opened
            after = [await page(http) for _ in range(6)]
        child.terminate()
        async with asyncio.timeout(END_S):
            assert await child.wait() == 0
    for each in before:
        assert value(each, "consentful_workers") == 2
        assert value(each, "consentful_dialogs_opened_total") == 8
        assert value(each, 'consentful_dialogs_ended_total{outcome="stored"}') == 8
        assert value(each, "consentful_consent_seconds_count") == 8
        assert value(each, 'consentful_consent_seconds_bucket{le="+Inf"}') == 8
    for each in after:
        assert value(each, "consentful_workers") == 2
        assert value(each, "consentful_worker_deaths_total") == 1
        assert value(each, "consentful_dialogs_live") == 4
        assert value(each, "consentful_dialogs_opened_total") == 12
        assert value(each, "consentful_messages_total") == 8
        assert value(each, "consentful_disk_reserve") == 1
    assert complaints(after[0]) == ""
    (ended,) = [json.loads(line) for line in said if "worker ended" in line]
    assert (ended["signal"], ended["replaced_in_s"]) == ("SIGKILL", 0)


async def test_all_drain_together_and_each_dialog_may_end(
    store: tuple[str, ...], workers: tuple[str, ...], tmp_path: Path
) -> None:
    pair = make_pair(tmp_path)
    secure = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    async with (
        serving(*workers, *store, *secure) as (url, _, child),
        ClientSession(url, connector=TCPConnector(ssl=pair.trusted(), limit=0)) as http,
    ):
        assert url.startswith("https://")
        async with dialogs(http, 8) as lives:
            child.terminate()
            closing = [await live.next_frame() for live in lives]
            assert {getattr(frame, "reason", None) for frame in closing} == {"draining"}
            async with http.get("/readyz") as response:
                assert response.status == 503
            assert value(await page(http), "consentful_dialogs_live") == 8
            for live in lives:
                assert (await live.grant()).messages == 1
                await live.closed()
        async with asyncio.timeout(END_S):
            assert await child.wait() == 0


async def test_one_worker_that_cannot_write_makes_all_tell_that(workers: tuple[str, ...]) -> None:
    async def is_ready(http: ClientSession) -> bool:
        async with http.get("/readyz", headers={"Connection": "close"}) as response:
            assert response.status == 200 or (await response.json(content_type=None))["code"] in CANNOT_WRITE
            return response.status == 200

    async with serving(*workers) as (url, said, child), ClientSession(url) as http:
        assert await is_ready(http)
        last = pids(said)[-1]
        unlimited = resource.prlimit(last, resource.RLIMIT_FSIZE)
        resource.prlimit(last, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        async with asyncio.timeout(END_S):
            while await is_ready(http):  # noqa: ASYNC110 - its last write is fresh for 5 s
                await asyncio.sleep(0.1)

        assert not any([await is_ready(http) for _ in range(8)])
        async with http.get("/v1/operations") as response:
            assert (await response.json())["now"]["parts"]["store"] in CANNOT_WRITE

        resource.prlimit(last, resource.RLIMIT_FSIZE, unlimited)
        async with asyncio.timeout(END_S):
            while not await is_ready(http):
                pass  # of a worker that does not answer in time, what it said before counts
        assert all([await is_ready(http) for _ in range(8)])
        child.terminate()


async def test_a_second_signal_ends_the_grace_time_of_all(workers: tuple[str, ...]) -> None:
    async with serving(*workers) as (url, said, child), ClientSession(url) as http, dialogs(http, 8) as lives:
        child.terminate()
        await until_said(child, said, '"draining"', 2)

        child.terminate()

        assert {(await live.until_closed())[1] for live in lives} == {4001}
        async with asyncio.timeout(END_S):
            assert await child.wait() == 0


async def test_workers_without_a_supervisor_drain_and_free_the_port(workers: tuple[str, ...]) -> None:
    async with serving(*workers) as (url, said, child), ClientSession(url) as http:
        async with dialogs(http, 8) as lives:
            child.kill()
            for live in lives:
                await live.next_frame()
                assert (await live.grant()).messages == 1
                await live.closed()
            async with asyncio.timeout(END_S):
                while any(map(is_running, pids(said))):  # noqa: ASYNC110 - they are no children of this process
                    await asyncio.sleep(0.01)
        said.clear()
    async with serving(*workers) as (url, _, child), ClientSession(url) as http:
        assert len((await get(http, "/v1/messages"))["items"]) == 8


async def test_a_port_in_use_is_refused_although_workers_share_theirs(workers: tuple[str, ...]) -> None:
    async with serving(*workers, "--data-dir", "other"):
        second = await start("serve", *workers)
        _, said = await second.communicate()

    assert second.returncode == 2
    assert b"cannot listen on" in said
    assert not Path("data").exists()
