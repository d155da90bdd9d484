"""The end of a database: every file of it is overwritten with zeros, then removed.

Nobody may have it open. SQLite tells: a database can leave the mode of the write-ahead log only while one connection
has it open, which then keeps all others out.
"""

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from ...errors import BadDatabase
from ...keys.files import destroy_file
from .connection import connect, sqlite3
from .leftovers import in_the_way


def check_idle(path: Path) -> None:
    """Check that no other connection has the database open.

    Raises:
        BadDatabase: If one has.
    """
    if path.exists() and not _is_destroyed(path):
        with _alone(path):
            pass


def destroy(path: Path, reserve: Path) -> None:
    """Destroy the database's files, durably; what an interrupted call left of them is destroyed as well.

    Raises:
        BadDatabase: If another connection has it open; nothing was changed.
    """
    if path.exists() and not _is_destroyed(path):
        with _alone(path):  # who opens it from now on finds zeros
            destroy_file(path)
    for file in (*in_the_way(path), reserve):
        destroy_file(file)


def _is_destroyed(path: Path) -> bool:
    """Whether the file's header was overwritten: an interrupted call did so."""
    with path.open("rb") as file:
        return not any(file.read(100))


@contextmanager
def _alone(path: Path) -> Generator[None]:
    try:
        with closing(connect(path)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("BEGIN EXCLUSIVE")
            yield
    except sqlite3.OperationalError:
        raise BadDatabase(
            f"{path} is in use by a server or a command; stop it, and run this again; nothing was changed"
        ) from None
