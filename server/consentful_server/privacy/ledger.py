"""The ledger: everything that a copy of the database must not undo, in files beside the keys.

    erased       a dialog's tombstone, and its place in the feed of erasures: it must not come back (GDPR art. 17)
    retracted    a grant that must still fail
    revoked      an API key that must stay refused
    narrowed     the purposes that a consent was narrowed to: it must not be wide again (art. 7(3))
    retired      a notice that must not be offered again, and the one on offer in its place
    numbered     numbers of dialogs up to this one may have been given out, and must not be given out again

    an erasure      its transaction ──► ledger.add ──► ledger.sync (fdatasync) ──► COMMIT
    every start     `replay`: whatever of this the database does not know is done again ──► serve

The ledger is durable before the database, so whatever stops an erasure, the next start completes it before anything is
served: a crash between the two, a failed COMMIT, or a restored backup in which the dialog is still stored. It lies
beside the keys because a backup of the data must not replace it. An entry is never marked as done: looking a dialog up
is cheap, and a mark could be wrong after a restore. Entries hold what tombstones hold, and the public texts of notices:
no words of a dialog, no customer, no pseudonym. So the tombstones of a database can be made again from the ledger, and
the ledger from them (`rebuild`). Narrowings are in the ledger alone: a narrowed dialog looks like any other.

Numbers are recorded a block ahead, so that one entry serves `_BLOCK` dialogs. A database that was put back to an
earlier state does not know how many of them it gave out since: it goes on after the block, and a cursor that names one
of them skips nothing.

A store that several machines share has one ledger for each process that writes (`ledger_claim`); one machine's has a
single one. `Ledgers` reads all of them. Where a transaction adds entries, it also records how long the ledger is
afterwards; a start refuses a ledger that is missing, or shorter than the database knows.

Threads: `add`, `reach` and `sync` run on the store's writer thread. `open`, `close` and iteration run before and after
it serves.

Races, and the line that closes each:

(R1) Several processes of one machine append to one ledger: with O_APPEND, each entry is one `write` call, which other
     appends cannot split. A network file system does not promise that to several machines.
(R2) A crash or a full disk cuts an entry short: its transaction did not commit. The entry is skipped when the ledger is
     read, and the newline before the next entry keeps it apart.
(R3) The ledger is created, and the power fails: `create` syncs the folder, so the file itself is durable. It is created
     before the database records its deployment, so a database with a deployment and no ledger has lost it.
(R4) Another process appends after the length was read: `sync` makes at least that length durable.
(R5) The network file system shows an old list of the folder, without a ledger that another machine has just created:
     the ledgers that the database names are opened by name.

A job that fails after it added its entry leaves it there. A later start then erases or narrows a dialog although that
was answered with an error; the client was told to send the request again anyway.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import msgspec

from ..archive.store import Reason, Retraction, Tombstone
from ..consent.notices import Wording
from ..errors import BadKeys
from ..keys.files import sync_folder

NAME: Final = "erasures.ledger"
"""The first ledger's name in the keys folder; the next ones are `erasures-2.ledger`, `erasures-3.ledger`, …"""

_NAME: Final = re.compile(r"erasures(?:-(\d+))?\.ledger")
_BLOCK: Final = 1_000
_KIND: Final = "kind"


class ErasedEntry(msgspec.Struct, frozen=True, tag_field=_KIND, tag="erased"):
    """An erased dialog. `place` is its place in the feed of erasures; 0 if it is not known."""

    tombstone: Tombstone
    place: int = 0


class RetractedEntry(msgspec.Struct, frozen=True, tag_field=_KIND, tag="retracted"):
    """A retraction of a dialog that was not stored."""

    retraction: Retraction


class RevokedEntry(msgspec.Struct, frozen=True, tag_field=_KIND, tag="revoked"):
    """A revoked API key. `at` is in microseconds since the epoch."""

    key_id: str
    at: int


class NarrowedEntry(msgspec.Struct, frozen=True, tag_field=_KIND, tag="narrowed"):
    """A consent that was narrowed to these purposes, and when (microseconds; 0 if it is not known)."""

    dialog_id: str
    purposes: tuple[str, ...]
    at: int = 0


class RetiredEntry(msgspec.Struct, frozen=True, tag_field=_KIND, tag="retired"):
    """A retired notice. `at` is in microseconds since the epoch.

    `instead` is the notice that is shown from then on, in all its languages. An older copy of the database may lack it,
    and would have nothing left to show.
    """

    notice_id: str
    at: int
    instead: tuple[Wording, ...] = ()


class NumberedEntry(msgspec.Struct, frozen=True, tag_field=_KIND, tag="numbered"):
    """Internal numbers of dialogs up to this one may have been given out."""

    dialogs: int


Entry: TypeAlias = ErasedEntry | RetractedEntry | RevokedEntry | NarrowedEntry | RetiredEntry | NumberedEntry


class _EarlierEntry(msgspec.Struct, frozen=True):
    """An erasure as earlier releases recorded it."""

    dialog_id: str
    reason: Reason
    at: int


class Ledger:
    """An append-only file of JSON objects, one a line.

    `numbered` is the number up to which numbers may have been given out before this process started; `replay` sets it.
    `holder` is the process that alone may append, by its lease of the ledger's name; empty where any may.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbered = 0
        self.holder = ""
        self._reached = 0
        self._file: BinaryIO | None = None
        self._unsynced = False

    def create(self) -> None:
        """Create an empty ledger, durably, unless it exists. Call it with a new store only, before its first entry.

        Raises:
            BadKeys: If it cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(self._opened(os.O_CREAT))
        sync_folder(self.path.parent)  # (R3)

    def open(self) -> None:
        """Open the file for appending.

        Raises:
            BadKeys: If it is missing, or cannot be written.
        """
        self._file = os.fdopen(self._opened(), "ab", buffering=0)

    def add(self, entry: Entry) -> None:
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

    def reach(self, number: int) -> None:
        """Record that numbers up to this one are given out. Most calls do nothing, because a block is recorded ahead.

        Raises:
            OSError: If the disk is full or fails.
        """
        if number > max(self._reached, self.numbered):
            self.add(NumberedEntry(number + _BLOCK))
            self._reached = number + _BLOCK

    @property
    def name(self) -> str:
        """The file's name, by which the database knows it."""
        return self.path.name

    @property
    def grown_to(self) -> int | None:
        """The file's length in bytes if entries were added since `sync`; None if there are none."""
        return os.fstat(self._file.fileno()).st_size if self._unsynced and self._file is not None else None  # (R4)

    def continue_as(self, name: str, holder: str) -> None:
        """Append to the ledger of this name in the same folder from now on; it is created if it is missing.

        Raises:
            BadKeys: If it cannot be written.
        """
        self.close()
        self.path, self.holder, self._reached = self.path.with_name(name), holder, 0
        self.create()
        self.open()

    def sync(self) -> None:
        """Make the added entries durable. Without new entries this does nothing."""
        if self._unsynced and self._file is not None:
            os.fdatasync(self._file.fileno())
            self._unsynced = False  # not if it raises: then the next transaction tries again

    def forget(self) -> None:
        """Let the next transaction not care for entries that were added since `sync`: theirs is rolled back."""
        self._unsynced = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __iter__(self) -> Iterator[Entry]:
        """Yield every entry; skip those that were cut short, whose transactions never committed."""
        with self.path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"}\n"):  # (R2)
                    yield _decoded(line)

    def _opened(self, flags: int = 0) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_APPEND | flags, 0o600)
        except FileNotFoundError:
            raise _is_missing(self.path) from None
        except OSError as error:
            raise BadKeys(
                f"{self.path} cannot be written ({error.strerror}); each erasure is recorded there first, so let the "
                "server's user write to --keys-dir"
            ) from None


class Ledgers:
    """All ledgers of a keys folder. `lengths` are those that the database knows, in bytes by name."""

    def __init__(self, folder: Path, lengths: Mapping[str, int]) -> None:
        self.folder = folder
        self._lengths = lengths

    @property
    def paths(self) -> list[Path]:
        """The ledgers in the folder, and those that should be there, in the order of their numbers."""
        names = {path.name for path in self.folder.iterdir() if number_of(path.name)} | set(self._lengths)  # (R5)
        return [self.folder / name for name in sorted(names, key=number_of)]

    def check(self) -> None:
        """Check that the first ledger exists, and that each has what the database knows of.

        Raises:
            BadKeys: If one is missing, or shorter: an older copy. Nothing was changed.
        """
        for name, least in {NAME: 0, **self._lengths}.items():
            path = self.folder / name
            if _length(path) < least:
                raise older_copy(path)

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries of each ledger, as `Ledger` does."""
        for path in self.paths:
            yield from Ledger(path)

    def measured(self) -> dict[str, int]:
        """Return the length of each ledger that exists, in bytes by its name."""
        return {path.name: _length(path) for path in self.paths if path.exists()}


def number_of(name: str) -> int:
    """Return the number of the ledger that has this file name; 0 if it is no ledger's."""
    match = _NAME.fullmatch(name)
    return int(match[1] or 1) if match else 0


def name_of(number: int) -> str:
    """Return the file name of the ledger with this number, from 1 on."""
    return NAME if number == 1 else f"erasures-{number}.ledger"


def older_copy(path: Path) -> BadKeys:
    """Return the refusal of a ledger that lacks what the database has."""
    return BadKeys(
        f"{path} lacks erasures that the database has, so it is an older copy; put its newest copy back, or "
        "run `consentful roots rebuild-ledger`; nothing was changed"
    )


def _is_missing(path: Path) -> BadKeys:
    return BadKeys(
        f"{path} is missing, so a restore would bring back what was erased; put its newest copy back, or "
        "run `consentful roots rebuild-ledger`; nothing was changed"
    )


def _length(path: Path) -> int:
    """Return the file's length; of an opened file, because a network file system may remember an older one.

    Raises:
        BadKeys: If it is missing.
    """
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise _is_missing(path) from None


def _decoded(line: bytes) -> Entry:
    if line.startswith(_TAGGED):
        return _decode(line)
    earlier = _decode_earlier(line)
    # Only dialogs that had been stored were recorded; number 0 says so, and is no dialog's.
    tombstone = Tombstone(dialog_id=earlier.dialog_id, owner="", reason=earlier.reason, erased_at=earlier.at, number=0)
    return ErasedEntry(tombstone)


_TAGGED: Final = f'{{"{_KIND}":'.encode()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Entry).decode
_decode_earlier: Final = msgspec.json.Decoder(_EarlierEntry).decode
