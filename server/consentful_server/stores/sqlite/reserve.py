"""Disk space reserved for erasures: on a full disk nothing more is stored, and erasures still succeed.

At its start a server allocates files beside the database and beside the erasure ledger. An erasure that fails with a
full disk deletes them and uses their space. While they are missing, nothing but erasures is written; they are allocated
again as soon as there is space. The files are the state: several processes on one database agree through them.

Threads: the writer's thread and a housekeeping thread use one `Reserve`. Each file is created with `O_EXCL` and deleted
by `unlink`, so a race between them has one winner, and both see the result.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_ROOM: Final = 4 * 1024 * 1024


class Reserve:
    """Files of these sizes in bytes; with a size of 0 there is no file."""

    def __init__(self, sizes: Mapping[Path, int]) -> None:
        self._sizes = dict(sizes)
        self._is_enabled = False

    def allocate(self) -> bool:
        """Give every file its size; return whether all of them have it now.

        A file that an earlier start left with another size grows, shrinks, or is deleted.
        """
        self._is_enabled = True
        return all(_allocate(path, size) for path, size in self._sizes.items())

    @property
    def is_short(self) -> bool:
        """Whether a file that was allocated is missing or too small; False before the first `allocate`."""
        return self._is_enabled and any(_size(path) < size for path, size in self._sizes.items())

    def has_room(self) -> bool:
        """Return whether there is space for more than the reserve: as much as the largest dialog takes, and its log."""
        return all(_has_room(path.parent) for path in self._sizes)

    def release(self) -> bool:
        """Delete the files; return whether any existed."""
        removed = [_remove(path) for path in self._sizes]
        return any(removed)


def is_full(error: BaseException | None) -> bool:
    """Return whether the operating system reports a full disk or an exceeded quota."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def _allocate(path: Path, size: int) -> bool:
    """Let the file have this size, with all its blocks; return whether it has."""
    if size == 0:
        _remove(path)
        return True
    if path.exists():
        return _resize(path, size)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        return isinstance(error, FileExistsError)  # another process created it first
    try:
        _fill(descriptor, size)
    except OSError:
        path.unlink(missing_ok=True)  # all or nothing: a short reserve would pass for a whole one
        return False
    finally:
        os.close(descriptor)
    return True


def _has_room(folder: Path) -> bool:
    """Return whether a file of `_ROOM` bytes fits. Free blocks alone would not tell of a quota."""
    try:
        with TemporaryFile(dir=folder) as file:
            _fill(file.fileno(), _ROOM)
    except OSError:
        return False
    return True


def _resize(path: Path, size: int) -> bool:
    """Let an existing file grow or shrink to this size; return whether it has it. Without space it stays as it is."""
    before = _size(path)
    if before == size:
        return True
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:  # another process has released it since
        return False
    try:
        if before < size:
            _fill(descriptor, size)
        os.ftruncate(descriptor, size)
    except OSError:
        os.ftruncate(descriptor, before)
        return False
    finally:
        os.close(descriptor)
    return True


def _size(path: Path) -> int:
    """Return the size of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _fill(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):  # a sparse file would reserve nothing
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS
        os.pwrite(descriptor, bytes(size), 0)


def _remove(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.unlink()
        return True
    return False
