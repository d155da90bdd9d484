"""A lock on a folder, by a file in it, that ends with its process."""

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final


@contextmanager
def locked(place: Path) -> Generator[None]:
    """Hold the lock while the block lasts.

    Raises:
        BlockingIOError: If another process holds it.
    """
    with place.open("w") as file:
        _LOCK(file)
        yield


def _lock_posix(file: IO[str]) -> None:
    fcntl = importlib.import_module("fcntl")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_windows(file: IO[str]) -> None:
    msvcrt: Any = importlib.import_module("msvcrt")
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        raise BlockingIOError(error.errno, "another process holds the lock") from None


def _choose() -> Callable[[IO[str]], None]:
    try:
        importlib.import_module("fcntl")
    except ModuleNotFoundError:
        return _lock_windows
    return _lock_posix


_LOCK: Final = _choose()
