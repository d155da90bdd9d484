"""A PostgreSQL server that can be killed, followed by a standby, and promoted; on a TCP port of its own."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from consentful_server.stores.postgres.address import address_of
from consentful_server.stores.postgres.connection import connect
from ports import free_port
from postgres_server import USER, end_with_parent, fast_folder, programs, unprivileged

NAME: Final = "consentful"
_PATIENCE_S: Final = 60.0
_TRUSTED: Final = "host all all all trust\nhost replication all all trust\n"
_SETTINGS: Final = {
    "shared_buffers": "32MB",
    "max_connections": "40",
    "max_wal_size": "256MB",
    "wal_receiver_status_interval": "1s",
}


class DatabaseServer:
    """One server, always on the same files, address and port."""

    def __init__(self, folder: Path, host: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.host = host
        self.port = free_port()
        self.settings = {**_SETTINGS, **settings}
        self._who = unprivileged(folder)
        self._programs = programs(folder, is_shared=bool(self._who))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return url_of(self.place)

    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def create(self, standby: "DatabaseServer | None" = None) -> None:
        """Make an empty server, start it, start its standby, and create the database."""
        await self._run("initdb", "-D", self._data, "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8",
                        "--locale=C.UTF-8")  # fmt: skip
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(_TRUSTED)
        await self.start()
        if standby is not None:  # before the first COMMIT, which may wait for it
            await standby.follow(self)
        await self.ask(f"CREATE DATABASE {NAME}", database="postgres")

    async def follow(self, primary: "DatabaseServer") -> None:
        """Make a standby of the primary, named `standby`, and start it."""
        source = f"host={primary.host} port={primary.port} user={USER} application_name=standby"
        await self._run("pg_basebackup", "-D", self._data, "-d", source, "-R", "-X", "stream", "-c", "fast", "-N")
        await self.start()

    async def start(self) -> None:
        """Start it, and return once it accepts connections. It may have to recover first."""
        listen = {"listen_addresses": self.host, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [f"-c{name}={value}" for name, value in (self.settings | listen).items()]
        async with asyncio.timeout(_PATIENCE_S):
            while not await self._accepts():
                if not self.is_running():  # or what was killed is still ending
                    with (self.folder / "log").open("ab") as log:
                        self._process = await asyncio.create_subprocess_exec(
                            self._programs / "postgres", "-D", self._data, *options,
                            stderr=log, preexec_fn=end_with_parent, **self._who,
                        )  # fmt: skip

    def kill(self) -> None:
        """End all its processes at once, as when the machine crashes."""
        assert self._process is not None
        everyone = [self._process.pid, *_children(self._process.pid)]
        for process in everyone:
            _signal(process, signal.SIGKILL)

    async def stop_receiving(self) -> int:
        """Suspend what receives from the primary, so that this standby falls behind; return the process's number."""
        receiver: int = await self.ask("SELECT pid FROM pg_stat_wal_receiver")
        _signal(receiver, signal.SIGSTOP)
        return receiver

    async def killed(self) -> None:
        self.kill()
        assert self._process is not None
        await self._process.wait()

    async def promote(self) -> None:
        """Make the standby a primary, as a failover manager does."""
        await self._run("pg_ctl", "promote", "-D", self._data, "-w")

    async def ask(self, sql: str, database: str = NAME) -> Any:
        """Run a statement; return its first value."""
        db = await connect(address_of(url_of(self.place, database)))
        try:
            return await db.fetchval(sql)
        finally:
            await db.close()

    async def set(self, name: str, value: str) -> None:
        """Change a setting, and return once all sessions have it."""
        await self.ask(f"ALTER SYSTEM SET {name} = {value}")
        await self.ask("SELECT pg_reload_conf()")
        async with asyncio.timeout(_PATIENCE_S):
            while await self.ask(f"SHOW {name}") != value:  # asks a session that has begun since; earlier ones are told
                pass

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGQUIT)  # at once
            await self._process.wait()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    async def _accepts(self) -> bool:
        ready = await asyncio.create_subprocess_exec(
            self._programs / "pg_isready", "-q", "-h", self.host, "-p", str(self.port), "-t", "1"
        )
        return await ready.wait() == 0

    async def _run(self, program: str, *arguments: object) -> None:
        run = await asyncio.create_subprocess_exec(
            self._programs / program, *map(str, arguments),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, **self._who,
        )  # fmt: skip
        output, _ = await run.communicate()
        assert run.returncode == 0, f"{program}: {output.decode()}"


def url_of(place: str, database: str = NAME) -> str:
    return f"postgresql://{USER}@{place}/{database}"


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass  # it ended by itself


@asynccontextmanager
async def database_server(host: str, settings: Mapping[str, str] | None = None) -> AsyncGenerator[DatabaseServer]:
    """Yield a server that does not exist yet: `create` it, or let it `follow` another."""
    folder = Path(tempfile.mkdtemp(prefix="consentful-node-database-", dir=fast_folder()))
    server = DatabaseServer(folder, host, settings or {})
    try:
        yield server
    finally:
        await server.stop()
        shutil.rmtree(folder, ignore_errors=True)
