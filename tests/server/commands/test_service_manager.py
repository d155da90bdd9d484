"""What `consentful serve` tells systemd, with one process and with several: its own process tells it, and no other."""

import signal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from certificates import make_pair
from managed import manager
from ports import free_port

from .serving import serving, until_said


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_server_tells_that_it_serves_reloads_and_stops(workers: int, tmp_path: Path) -> None:
    folders = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]
    pair = make_pair(tmp_path)
    tls = ["--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)]
    arguments = [*folders, *tls, "--port", str(free_port()), "--workers", str(workers)]
    with manager(tmp_path / "notify") as told:
        watched = told.environment | {"WATCHDOG_USEC": "2000000"}
        async with serving(*arguments, environment=watched) as (url, said, child):
            assert await told.until("READY") == (child.pid, {"READY": "1", "STATUS": "serving"})
            async with ClientSession() as http, http.get(f"{url}/readyz", ssl=pair.trusted()) as response:
                assert response.status == 200
            assert (await told.until("WATCHDOG"))[0] == child.pid

            make_pair(tmp_path)
            child.send_signal(signal.SIGHUP)
            assert (await told.until("RELOADING"))[0] == child.pid
            assert (await told.until("READY"))[0] == child.pid
            await until_said(child, said, '"reloaded"', workers)  # a worker that is told to stop first does not reload

            child.send_signal(signal.SIGTERM)
            assert (await told.until("STOPPING"))[0] == child.pid
            assert await child.wait() == 0
    assert len([line for line in said if '"reloaded"' in line]) == workers
