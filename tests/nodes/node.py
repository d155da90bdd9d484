"""One node of the service: `consentful serve` in a process and a room of its own, which can be killed."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from logs import until_written
from postgres_server import end_with_parent

from .release import Release

PORT: Final = 8080
_GRACE_S: Final = 1


class Node:
    """A node, always in the same room, at the same address and with the same settings."""

    def __init__(
        self, folder: Path, room: str, host: str, settings: dict[str, object], release: Release | None = None
    ) -> None:
        """`release` is what the next start runs; None is this tree as it lies."""
        self.room = room
        self.release = release
        self.url = f"http://{host}:{PORT}"
        self.log = folder / f"{room}.log"
        self._settings = settings | {"host": host, "port": PORT, "grace": _GRACE_S}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, and return once it listens."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", self.room, sys.executable, "-m", "consentful_server", "serve"),
                *(f"--{name}={value}" for name, value in self._settings.items()),
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
                cwd=self.log.parent,
                env=self._environment(),
            )
        await until_written(self.log, b"serving", after=before)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTFUL_")}
        return inherited if self.release is None else inherited | {"PYTHONPATH": str(self.release.folder)}

    async def until_failing(self) -> None:
        """Return once it has logged an error from now on."""
        await until_written(self.log, b'"level": "error"', after=self.log.stat().st_size)

    async def end(self, number: signal.Signals) -> int | None:
        """End it with a signal, if it runs; return its exit status."""
        if self._process is None:
            return None
        if self.runs:
            self._process.send_signal(number)
        return await self._process.wait()

    def first_key(self) -> str:
        """Return the API key that the first start printed."""
        return next(line for line in self.log.read_text("utf-8").splitlines() if line.startswith("cfl_"))
