"""Entries of the access log, and its rows, for the tests that look at them."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession

from consentful_server.access_log.chain import Actor
from consentful_server.access_log.store import Trace
from consentful_server.access_log.views import LogEntry
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import Served

SCIENTIST: Final = Actor("science", "credential", "r-1")


async def logged(service: Served, **trace: Any) -> list[LogEntry]:
    return (await service.service.access_log.search(Trace(**trace), limit=1000)).items


async def valid() -> None:
    """A credential that has neither expired nor been revoked."""


async def last(service: Served) -> LogEntry:
    return (await logged(service))[0]


async def post(http: ClientSession, path: str, **body: Any) -> Any:
    async with http.post(path, json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


def rows(service: Served, table: str) -> list[tuple[Any, ...]]:
    with closing(connect(service.folder / "data" / "consentful.db")) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def rows_of(service: Served, table: str) -> int:
    return len(rows(service, table))


@contextmanager
def altering(path: Path) -> Generator[sqlite3.Connection]:
    """Commit what the block does to the database, and close it: sqlite3's own context manager leaves it open."""
    with closing(sqlite3.connect(path)) as db, db:
        yield db
