"""Whether the files of an open database are still at its path.

SQLite keeps writing into a file that was moved away, deleted or replaced while it was open, and reports success: a
restart would open another file at the path, or none, and find nothing of it. So a writer compares the file at the path
with the one that it opened, before and after each commit: two system calls for each file, some microseconds.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

_WAL: Final = "-wal"

_Identity: TypeAlias = tuple[int, int] | None
"""The device and the inode of a file; None if there is none."""


class Location:
    """The database and its write-ahead log, which must both be open, as they lie when this is created."""

    def __init__(self, path: Path) -> None:
        # SQLite follows a link to the database, and writes the log beside the file itself.
        log = Path(f"{os.path.realpath(path)}{_WAL}")
        self._found: Mapping[Path, _Identity] = {each: _identity(each) for each in (path, log)}

    def displaced(self) -> Path | None:
        """Return a path at which the open file is no longer; None if each is in its place."""
        return next((path for path, identity in self._found.items() if _identity(path) != identity), None)


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
