"""The ledger of erasures: a list, kept beside the keys, of every dialog that must not come back (GDPR art. 17).

An erasure is written down, durably, before its transaction commits. At a start every entry is held against the
database, before anything is served: what a crash left undone is finished, and what a restore from an older backup
brought back is erased again. Entries need no closing mark: looking is cheap, and a mark could lie.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from ..archive.store import Reason
from ..errors import BadKeys

NAME: Final = "erasures.ledger"


class LedgerEntry(msgspec.Struct, frozen=True):
    """One erasure. `at` is microseconds since the epoch."""

    dialog_id: str
    reason: Reason
    at: int


class Ledger:
    """An append-only file of JSON lines. Several processes may append: each line is one write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._unsynced = False

    def open(self) -> None:
        """Make ready for writing, making the file if there is none.

        Raises:
            BadKeys: If it cannot be written.
        """
        try:
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)
        except OSError as error:
            raise BadKeys(
                f"{self.path} cannot be written ({error.strerror}); erasures are written down there before they are "
                "done, so let the server's user write to --keys-dir"
            ) from None

    def add(self, entry: LedgerEntry) -> None:
        """Write an erasure down. It is durable after `sync`.

        Raises:
            OSError: If the disk is full, or fails.
        """
        if self._file is None:
            raise RuntimeError("open the ledger before anything is erased")
        line = b"\n" + _encode(entry) + b"\n"  # whatever a full disk cut short before it is a line of its own
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._unsynced = True

    def sync(self) -> None:
        """Make durable what was added; without anything added this costs nothing."""
        if self._unsynced and self._file is not None:
            os.fdatasync(self._file.fileno())
            self._unsynced = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[LedgerEntry]:
        """Yield every entry; one that a crash or a full disk cut short was never committed upon, and is passed over."""
        with self.path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"}\n"):
                    yield _decode(line)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(LedgerEntry).decode
