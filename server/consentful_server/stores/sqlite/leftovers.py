"""Files that an earlier database left where this one is, or is to be: its log, its journal, an interrupted restore.

SQLite takes a write-ahead log or a rollback journal for a database's own by its name alone, and checks it against its
own checksums only. Beside another database it mixes the pages of two; beside an empty one it is deleted. So what cannot
belong to the database is refused, and named:

    database                               beside it          why it is another database's
    missing                                -wal -shm -journal SQLite creates the database before them
    empty                                  -wal               SQLite writes a page before it creates a log
    with a rollback journal, by its header -wal               a restored database has no log until its first start
    with a log, by its header              -journal           such a database has no rollback journal
    any                                    .NAME.restoring…   a restore was interrupted; the file holds dialogs' keys

(R1) Another process creates the database meanwhile: the files beside it are looked for first. SQLite creates them after
     the database, so a file that was seen has its database by the time that this is looked for.
(R2) Another process switches the database from its journal to a log: for one fsync, the header names the log while the
     journal exists. So a journal is waited for.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ...errors import BadDatabase

_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_SWITCH_S: Final = 0.5
_POLL_S: Final = 0.02

_FORMAT_AT: Final = 18
"""Offset of the write version in the header (SQLite file format, 1.3.3): 1 for a rollback journal, 2 for a log."""
_LOG: Final = b"\x02"


def unfinished(path: Path) -> Path:
    """Return where a restore joins the database before it gets its name."""
    return path.with_name(f".{path.name}.restoring")


def in_the_way(path: Path) -> Sequence[Path]:
    """Return everything that is in the way of a new database here: the database, its side files, an unfinished one."""
    return [found for name in (path, unfinished(path)) for found in (name, *_beside(name)) if os.path.lexists(found)]


def check(path: Path) -> None:
    """Check that the files beside the database are its own.

    Call it before this process has a connection to the database: POSIX drops a process's locks on a file when any of
    its descriptors is closed.

    Raises:
        BadDatabase: If one belongs to an earlier database; nothing was changed.
    """
    interrupted = [found for found in in_the_way(path) if found.name.startswith(unfinished(path).name)]
    if interrupted:
        raise BadDatabase(
            f"{_names(interrupted)} was left by an interrupted restore; delete it, and restore the backup again"
        )
    beside = [found for found in _beside(path) if os.path.lexists(found)]  # (R1) before the database
    if beside and (foreign := _foreign(path, beside)):
        raise BadDatabase(
            f"{_names(foreign)} belongs to another database than {path}, perhaps with its latest commits; "
            "put that database back, or move the file away; nothing was changed"
        )


def _foreign(path: Path, beside: Sequence[Path]) -> Sequence[Path]:
    if not path.exists():
        return beside
    with path.open("rb") as file:
        header = file.read(_FORMAT_AT + 1)
    if header[_FORMAT_AT:] == _LOG:
        return [found for found in beside if found.name.endswith("-journal") and _stays(found)]
    return [found for found in beside if found.name.endswith("-wal") and found.stat().st_size]


def _stays(journal: Path) -> bool:
    """Return whether the journal still exists after the time that a switch to a log takes (R2)."""
    until = time.monotonic() + _SWITCH_S
    while (exists := journal.exists()) and time.monotonic() < until:
        time.sleep(_POLL_S)
    return exists


def _beside(path: Path) -> Sequence[Path]:
    return [path.with_name(path.name + suffix) for suffix in _SIDE_FILES]


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
