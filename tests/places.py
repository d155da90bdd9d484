"""Databases of both kinds by name, for tests that move between them, and what is in one."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.store import Backend
from consentful_server.stores.tables import MOVED, MOVING, Row
from kept import annotate, keep
from postgres_server import database_of

Kind: TypeAlias = Literal["sqlite", "postgres"]

PAIRS: list[tuple[Kind, Kind]] = [
    ("sqlite", "postgres"),
    ("postgres", "sqlite"),
    ("sqlite", "sqlite"),
    ("postgres", "postgres"),
]


async def url_of(kind: Kind, folder: Path, name: str) -> str:
    """Return the URL of an empty database of this name, which is the test's own."""
    if kind == "sqlite":
        return f"sqlite:///{folder / name / 'consentful.db'}"
    return await database_of(folder / name)


def untold(_step: str, _done: int, _total: int) -> None:
    """Tell nobody how far a move is."""


def place_of(url: str) -> Backend:
    return backend_of(url, Path("data"))


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncGenerator[Service]:
    """Open the service on a database, with the keys of the test."""
    async with open_service(Settings(database=url, keys_dir=folder / "keys")) as service:
        yield service


async def fill(url: str, folder: Path, dialogs: int) -> None:
    """Store dialogs `d-1` and so on, each with an annotation."""
    async with opened(url, folder) as service:
        for number in range(1, dialogs + 1):
            await keep(service, f"d-{number}", [f"Hi {number}", "Hello"], customer_id=f"c-{number}", language="en")
            await annotate(service, f"d-{number}", f"Note {number}", seq=number % 2)


async def content(url: str) -> Mapping[str, list[Row]]:
    """Return the rows of all tables, but for the marks of a move."""
    tables = await place_of(url).tables()
    try:
        async with tables.transaction():
            columns = await tables.columns()
            found = {name: await _rows(tables.rows(name, columns[name])) for name in columns}
            found["series"] = [*await tables.series()]
    finally:
        await tables.close()
    found["facts"] = [row for row in found["facts"] if not {MOVED, MOVING} & set(row)]
    return {name: sorted(map(tuple, rows), key=repr) for name, rows in found.items()}


async def _rows(blocks: AsyncIterator[list[Row]]) -> list[Row]:
    return [row async for rows in blocks for row in rows]
