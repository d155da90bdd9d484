"""Room on the disk that is kept for forgetting: where a disk is full nothing more is stored, and erasing goes on.

A server that starts takes it, as files beside the database and beside the ledger. What erases and finds no room gives
it to the disk, and while it is given nothing else writes. It is taken again as soon as there is room. The files are the
state, so several processes agree.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """Files of these sizes, in bytes."""

    def __init__(self, sizes: Mapping[Path, int]) -> None:
        self._sizes = {path: size for path, size in sizes.items() if size}
        self._is_wanted = False

    def take(self) -> bool:
        """Have the room from now on; whether all of it is there."""
        self._is_wanted = True
        return all(_allocate(path, size) for path, size in self._sizes.items())

    @property
    def is_short(self) -> bool:
        """Whether some of what was taken is not there."""
        return self._is_wanted and not all(path.exists() for path in self._sizes)

    def give(self) -> bool:
        """Give the room to the disk; whether there was any."""
        removed = [_remove(path) for path in self._sizes]
        return any(removed)


def is_full(error: BaseException | None) -> bool:
    """Whether this is an error of the operating system that says that there is no room."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def _allocate(path: Path, size: int) -> bool:
    """Whether the file is there, with all its blocks."""
    if path.exists():
        return True
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        return isinstance(error, FileExistsError)  # another process was first
    try:
        _fill(descriptor, size)
    except OSError:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
    return True


def _fill(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS
        os.pwrite(descriptor, bytes(size), 0)


def _remove(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.unlink()
        return True
    return False
