"""The root keys: four independent secrets in a folder of their own, outside the data directory.

    wrapping-0001.key   wraps the dialogs' keys; its number is its epoch (see `rotation`)
    index.key           makes pseudonyms and the hashes of API keys
    cursor.key          authenticates paging cursors
    signing.pem         signs receipts (Ed25519; see `signing`)

They are made with mode 0600 on the first start. The database keeps a check value of each, so that keys that do not
fit it are refused before anything is written, and nothing is ever overwritten.
"""

import hmac
import secrets
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from ..errors import BadKeys
from . import signing
from .files import read_secret, sync_folder, write_secret
from .signing import SigningKeys

_DEPLOYMENT_BYTES: Final = 16
FIRST_EPOCH: Final = 1
DEPLOYMENT: Final = "deployment"
"""How the fact is called that names the deployment."""

CHECK: Final = "check "
"""What the name of a check value among the facts begins with."""


class Roots(msgspec.Struct, frozen=True):
    """The secrets, as they were read."""

    wrapping: Mapping[int, bytes]
    index: bytes
    cursor: bytes
    signing: SigningKeys

    def __repr__(self) -> str:
        return f"Roots(epochs={sorted(self.wrapping)})"

    def of(self, epochs: Container[int]) -> "Roots":
        """Return the roots with the masters of these epochs only: one that a crash left behind is not in use."""
        wrapping = {epoch: key for epoch, key in self.wrapping.items() if epoch in epochs}
        return msgspec.structs.replace(self, wrapping=wrapping)

    def derive(self, use: str) -> bytes:
        """Return 32 bytes of the index root for one use only."""
        return hmac.digest(self.index, b"consentful/1/" + use.encode() + b"\x01", "sha256")

    def checks(self, deployment: bytes) -> dict[str, bytes]:
        """Return a value for each root that tells whether it is the same one, and nothing else."""
        signs = {self.signing.name: self.signing.key.private_bytes_raw()}
        secret = {"index": self.index, "cursor": self.cursor} | signs
        secret |= {wrapping_name(epoch): key for epoch, key in self.wrapping.items()}
        return {name: check_value(key, deployment) for name, key in secret.items()}


def new_deployment() -> bytes:
    """Return an id for a new database; seals are bound to it."""
    return secrets.token_bytes(_DEPLOYMENT_BYTES)


def create(folder: Path) -> None:
    """Make the roots that are not there yet, each readable by its owner only and on disk before this returns."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (wrapping_name(FIRST_EPOCH) + ".key", "index.key", "cursor.key"):
        write_secret(folder / name)
    signing.create(folder)
    sync_folder(folder)


def exist(folder: Path) -> bool:
    """Whether any root is there."""
    return folder.is_dir() and any(_key_files(folder))


def load(folder: Path) -> Roots:
    """Return the roots.

    Raises:
        BadKeys: If one is missing, malformed or readable by anyone but its owner.
    """
    wrapping = {int(path.stem.rpartition("-")[2]): read_secret(path) for path in sorted(folder.glob("wrapping-*.key"))}
    if not wrapping:
        raise BadKeys(f"{folder}: no wrapping-*.key; put the keys of this database back, from their own backup")
    return Roots(
        wrapping,
        read_secret(folder / "index.key"),
        read_secret(folder / "cursor.key"),
        signing.load(folder),
    )


def stated(facts: Mapping[str, bytes], emptied: Iterable[int], roots: Roots) -> dict[str, bytes]:
    """Return the check values among the facts, without those of keys that may be gone: of ended epochs, or retired."""
    gone = {wrapping_name(epoch) for epoch in emptied}
    values = {name.removeprefix(CHECK): value for name, value in facts.items() if name.startswith(CHECK)}
    return {
        name: value
        for name, value in values.items()
        if name not in gone and not signing.is_earlier(name, roots.signing.number)
    }


def check(roots: Roots, deployment: bytes, stored: Mapping[str, bytes]) -> None:
    """See that these roots are the ones this database was written with.

    Raises:
        BadKeys: If one is not.
    """
    actual = roots.checks(deployment)
    for name, value in stored.items():
        if not hmac.compare_digest(actual.get(name, b""), value):
            raise BadKeys(
                f"the key `{name}` is not the one this database was written with; "
                "put the right keys into --keys-dir, or name another --database; nothing was changed"
            )


def wrapping_check(epoch: int, master: bytes, deployment: bytes) -> dict[str, bytes]:
    """Return the fact by which a master is known again."""
    return {CHECK + wrapping_name(epoch): check_value(master, deployment)}


def check_value(secret: bytes, deployment: bytes) -> bytes:
    """Return what tells whether a secret is the same one, and nothing else of it."""
    return hmac.digest(secret, b"consentful/1/check/" + deployment, "sha256")


def wrapping_name(epoch: int) -> str:
    """Return how the master of an epoch is called, in the folder and among the facts."""
    return f"wrapping-{epoch:04d}"


def _key_files(folder: Path) -> list[Path]:
    return [*folder.glob("*.key"), *folder.glob("signing*.pem")]
