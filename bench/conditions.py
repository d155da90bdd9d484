"""Under which conditions was measured: versions, what was on, and how busy other processes kept the machine."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from consentful_server.stores.sqlite.connection import connect, sqlite3

from .plan import CLIENT_CORE, SERVER_CORE

_LEVELS: Final = ("OFF", "NORMAL", "FULL", "EXTRA")
_PEERS: Final = ("picows", "flask", "gunicorn", "fastapi", "uvicorn")
_NOT_BUSY: Final = ("idle", "iowait", "guest", "guest_nice")
_COLUMNS: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def conditions(folder: Path) -> list[str]:
    """Return the head of the table; `folder` is on the file system that is measured."""
    ours = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop"))
    peers = ", ".join(f"{name} {_version(name)}" for name in _PEERS)
    cores = f"server on core {SERVER_CORE}, client on core {CLIENT_CORE}"
    return [
        f"{time.strftime('%Y-%m-%d')}, {platform.python_implementation()} {platform.python_version()}, {ours}, "
        f"SQLite {sqlite3.sqlite_version}; peers: {peers}",
        f"{platform.system()} {platform.release().partition('-')[0]}, {os.cpu_count()} cores: {cores}",
        f"on: synchronous={synchronous(folder)}, sealing, receipts, acks, limits (rates raised: one client does what "
        "thousands would), metrics, the access log of reads; off: TLS, compression, OIDC, log lines below warning",
        "each figure: ours and peer in turn, median of at least 5 rounds (2 where a round begins a server or reads "
        "all texts); ratio: median of the rounds' ratios; CPU µs: ours / peer, of a dialog, message or request; "
        "others: cores that other processes used meanwhile",
    ]


def synchronous(folder: Path) -> str:
    """Return what SQLite says of a connection that is opened as the server's are."""
    db = connect(folder / "conditions.db")
    try:
        return _LEVELS[int(db.execute("PRAGMA synchronous").fetchone()[0])]
    finally:
        db.close()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


class Others:
    """Tells how many cores other processes used since it was made: all that was busy, less us and our children."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = _busy_s() - _own_s()

    def cores(self) -> float:
        """Return the mean. Children count as ours once they have ended."""
        busy = _busy_s() - _own_s() - self._busy
        return max(0.0, busy / (time.monotonic() - self._began))


def _busy_s() -> float:
    total = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    ticks = sum(int(value) for name, value in zip(_COLUMNS, total, strict=False) if name not in _NOT_BUSY)
    return ticks / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
