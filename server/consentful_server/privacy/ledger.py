"""The erasure ledger: every dialog that was erased and must not come back (GDPR art. 17), in a file beside the keys.

    an erasure      ledger.add ──► ledger.sync (fdatasync) ──► COMMIT
    every start     for each entry: is the dialog stored? erase it ──► serve

The ledger is written before the database, so whatever stops an erasure, the next start completes it before anything is
served: a crash between the two, a failed COMMIT, or a restored backup in which the dialog is still stored. It lies
beside the keys because a backup of the data must not replace it. An entry is never marked as done: looking a dialog up
is cheap, and a mark could be wrong after a restore.

Threads: `add` and `sync` run on the store's writer thread. `open`, `close` and iteration run before and after it
serves.

Races, and the line that closes each:

(R1) Several processes append: with O_APPEND, each entry is one `write` call, which other appends cannot split.
(R2) A crash or a full disk cuts an entry short: its transaction did not commit. The entry is skipped when the ledger is
     read, and the newline before the next entry keeps it apart.
(R3) The ledger's first entry is written, and the power fails: `open` syncs the folder, so the file itself is durable.

A job that fails after it added its entry leaves it there. A later start then erases a dialog whose erasure was refused
with an error; the client was told to send the request again anyway.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from ..archive.store import Reason
from ..errors import BadKeys
from ..keys.files import sync_folder

NAME: Final = "erasures.ledger"
"""The file's name in the keys folder."""


class LedgerEntry(msgspec.Struct, frozen=True):
    """One erasure. `at` is in microseconds since the epoch."""

    dialog_id: str
    reason: Reason
    at: int


class Ledger:
    """An append-only file of JSON objects, one a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._unsynced = False

    def open(self) -> None:
        """Open the file for appending; create it, durably, if it does not exist.

        Raises:
            BadKeys: If it cannot be written.
        """
        try:
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)
        except OSError as error:
            raise BadKeys(
                f"{self.path} cannot be written ({error.strerror}); each erasure is recorded there first, so let the "
                "server's user write to --keys-dir"
            ) from None
        sync_folder(self.path.parent)  # (R3)

    def add(self, entry: LedgerEntry) -> None:
        """Append an entry. It is durable after `sync`.

        Raises:
            OSError: If the disk is full or fails.
        """
        if self._file is None:
            raise RuntimeError("open the ledger before anything is erased")
        line = b"\n" + _encode(entry) + b"\n"  # (R2) the first newline ends an entry that was cut short
        if self._file.write(line) != len(line):  # (R1) unbuffered: one system call
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._unsynced = True

    def sync(self) -> None:
        """Make the added entries durable. Without new entries this does nothing."""
        if self._unsynced and self._file is not None:
            os.fdatasync(self._file.fileno())
            self._unsynced = False  # not if it raises: then the next transaction tries again

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[LedgerEntry]:
        """Yield every entry; skip those that were cut short, whose transactions never committed."""
        with self.path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"}\n"):  # (R2)
                    yield _decode(line)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(LedgerEntry).decode
