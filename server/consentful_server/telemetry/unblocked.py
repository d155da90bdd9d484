"""The handler of log lines: whoever reads them may stall, and the service goes on.

The standard error is often a pipe to a program that ships logs. When that one hangs, the pipe fills up, and a write
would block: the event loop, with every dialog, and the supervisor, so that not even SIGTERM would end it.

    reads ──no room for `_PATIENCE_MS`──► stalled: lines are dropped and counted ──room──► reads; the count is logged

A file always has room. A pipe has if 4 KiB fit, which is more than a line has. Of several processes that share a pipe,
one could take that room between the look and the write of another; a page of lines at the same moment would be needed.
"""

import logging
import select
import sys
from contextlib import suppress
from typing import Final, TextIO

_PATIENCE_MS: Final = 100
"""Longer than a reader takes that is at work, and short enough for everybody who waits for this thread."""


class UnblockedHandler(logging.StreamHandler[TextIO]):
    """Writes to the standard error, or drops what it does not take."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._room = select.poll()
        self._lost = 0
        self._is_file = False
        with suppress(OSError, ValueError, AttributeError):  # closed, or replaced by what is no file, as in tests
            self._room.register(sys.stderr.fileno(), select.POLLOUT)
            self._is_file = True

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, after how many were lost before it; the caller has this handler's lock."""
        if self._is_file and not self._room.poll(0 if self._lost else _PATIENCE_MS):
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            super().emit(_told(lost))
        super().emit(record)


def _told(lost: int) -> logging.LogRecord:
    what = {"levelno": logging.WARNING, "levelname": "WARNING", "msg": "log lines were lost", "lines": lost}
    return logging.makeLogRecord({"name": "consentful.server"} | what)
