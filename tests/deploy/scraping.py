"""Debian's Prometheus with our rules, scraping servers on this machine; what is waited for is asked of its API.

Every range and `for` of the rules is shortened (`alerting.hastened`), so that what takes minutes takes seconds here.
Each scene has a job of its own, and ports that are known before: a change of the targets would take Prometheus 5 s.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from needs import need
from ports import free_port

from .alerting import hastened

_PATIENCE_S: Final = 40.0
_POLL_S: Final = 0.1
_SCRAPE: Final = "300ms"


Meanwhile: TypeAlias = Callable[[], Awaitable[object]]


async def _nothing() -> None:
    """Return."""


class Prometheus:
    """A running Prometheus. `ports` are those of each scene's servers, in the order in which it starts them."""

    def __init__(self, url: str, ports: Mapping[str, Sequence[int]]) -> None:
        self.url = url
        self.ports = ports

    async def until_result(self, expr: str) -> list[dict[str, Any]]:
        """Return the series that an expression has, once it has any."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not (found := (await self._get("query", query=expr))["result"]):  # noqa: ASYNC110 - it has no events
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise AssertionError(f"no result: {expr}") from None
        return found

    async def until_fires(
        self, name: str, scene: str | None, *, meanwhile: Meanwhile = _nothing, **labels: str
    ) -> dict[str, Any]:
        """Return the alert once it fires for this scene, or for none, with these labels; `meanwhile` is done again."""
        return (await self._until(name, scene, labels, meanwhile, firing=True))[0]

    async def until_resolved(self, name: str, scene: str, *, meanwhile: Meanwhile = _nothing) -> None:
        """Wait until the alert does not fire for this scene any more; `meanwhile` is done again and again."""
        await self._until(name, scene, {}, meanwhile, firing=False)

    async def until_quiet(self, scene: str) -> None:
        """Wait until no alert fires for this scene."""
        await self._until("", scene, {}, _nothing, firing=False)

    async def _until(
        self, name: str, scene: str | None, labels: dict[str, str], meanwhile: Meanwhile, *, firing: bool
    ) -> list[dict[str, Any]]:
        wanted = ({"alertname": name} if name else {}) | ({"job": job_of(scene)} if scene else {}) | labels
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while bool(found := await self._firing(wanted)) != firing:
                    await meanwhile()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            now = await self._firing({"job": job_of(scene)} if scene else {})
            raise AssertionError(f"{name or 'no alert'} was waited for; these fire: {now}") from None
        return found

    async def _firing(self, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            alert
            for alert in (await self._get("alerts"))["alerts"]
            if alert["state"] == "firing" and wanted.items() <= alert["labels"].items()
        ]

    async def _get(self, what: str, **parameters: str) -> Any:
        def ask() -> Any:
            with urlopen(f"{self.url}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as response:
                return json.load(response)["data"]

        return await asyncio.to_thread(ask)


def job_of(scene: str) -> str:
    return f"consentful-{scene}"


@contextmanager
def scraping(folder: Path, scenes: Mapping[str, int], secure: Sequence[str] = ()) -> Generator[Prometheus]:
    """Run Prometheus; each scene has this number of servers, and those of `secure` speak TLS."""
    own = free_port()
    given = {scene: [free_port() for _ in range(number)] for scene, number in scenes.items()}
    (folder / "rules.yml").write_text(hastened())
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(given, secure)))
    command = [
        *(need("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        *(f"--web.listen-address=127.0.0.1:{own}", "--log.level=warn"),
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{own}"
        _until_ready(url, process, folder / "prometheus.log")
        yield Prometheus(url, given)
    finally:
        process.terminate()
        process.wait(20)


def _configuration(ports: Mapping[str, Sequence[int]], secure: Sequence[str]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE, "evaluation_interval": _SCRAPE},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": job_of(scene),
                "scheme": "https" if scene in secure else "http",
                "tls_config": {"insecure_skip_verify": True},
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in each]}],
            }
            for scene, each in ports.items()
        ],
    }


def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with urlopen(f"{url}/-/ready", timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(_POLL_S)
    raise AssertionError(log.read_text("utf-8"))
