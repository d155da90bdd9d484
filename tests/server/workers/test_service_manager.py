"""What is told to the service manager: to whom, by whom, and what if nobody listens."""

import asyncio
import logging
import os
import socket
from pathlib import Path

import pytest

from consentful_server.workers.service_manager import ServiceManager
from managed import manager


async def test_each_state_is_one_datagram(tmp_path: Path) -> None:
    with manager(tmp_path / "notify") as receiving:
        sending = ServiceManager.of(receiving.environment)
        sending.ready()
        sending.reloading()
        sending.stopping()

        assert await receiving.told() == (os.getpid(), {"READY": "1", "STATUS": "serving"})
        _, reloading = await receiving.told()
        assert (set(reloading), int(reloading["MONOTONIC_USEC"]) > 0) == ({"RELOADING", "MONOTONIC_USEC"}, True)
        assert await receiving.told() == (os.getpid(), {"STOPPING": "1", "STATUS": "draining"})


def test_an_abstract_address_begins_with_an_at_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        name = f"consentful-test-{os.getpid()}"
        receiving.bind(f"\0{name}")
        ServiceManager.of({"NOTIFY_SOCKET": f"@{name}"}).ready()

        assert receiving.recv(100).startswith(b"READY=1")


def test_the_variables_are_not_left_for_processes_that_are_started() -> None:
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid()), "OTHER": "1"}
    ServiceManager.of(environment)

    assert environment == {"OTHER": "1"}


async def test_the_watchdog_is_told_while_the_event_loop_runs(tmp_path: Path) -> None:
    with manager(tmp_path / "notify") as receiving:
        sending = ServiceManager.of(receiving.environment | {"WATCHDOG_USEC": "20000"})
        watching = asyncio.create_task(sending.watch())

        told = [await receiving.told() for _ in range(3)]

        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
    assert [set(state) for _, state in told] == [{"WATCHDOG"}] * 3


@pytest.mark.parametrize(
    "variables", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}], ids=str
)
async def test_without_a_watchdog_of_this_process_nothing_is_told(variables: dict[str, str]) -> None:
    async with asyncio.timeout(60):
        await ServiceManager.of({"NOTIFY_SOCKET": "/nowhere"} | variables).watch()


def test_a_manager_that_is_gone_does_not_stop_the_service(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "nowhere")}).ready()
        ServiceManager().ready()

    assert [record.message for record in caplog.records] == ["the service manager cannot be told"]
