"""What the disk gives: the time of one fdatasync of one page, on the file system that the store is on."""

import os
import time
from pathlib import Path
from statistics import median

_PAGE = os.urandom(4096)
_PAGES = 64


class Disk:
    """A small file that is written over and over, as a write-ahead log is; it does not grow, which would cost more."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "fdatasync", os.O_RDWR | os.O_CREAT)
        os.pwrite(self._file, _PAGE * _PAGES, 0)
        os.fsync(self._file)

    def seconds(self, times: int) -> float:
        """Return the median time of one page written and made durable."""
        took: list[float] = []
        for number in range(times):
            began = time.perf_counter()
            os.pwrite(self._file, _PAGE, number % _PAGES * len(_PAGE))
            os.fdatasync(self._file)
            took.append(time.perf_counter() - began)
        return median(took)

    def rate(self, times: int) -> float:
        """Return how many can be done in a second, one after the other."""
        began = time.perf_counter()
        for number in range(times):
            os.pwrite(self._file, _PAGE, number % _PAGES * len(_PAGE))
            os.fdatasync(self._file)
        return times / (time.perf_counter() - began)

    def close(self) -> None:
        os.close(self._file)
