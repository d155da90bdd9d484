"""The root keys: four independent secrets in their own folder, outside the data directory.

    wrapping-0001.key   wraps the dialogs' keys; the number is its epoch (see `rotation`)
    index.key           derives pseudonyms, the hashes of API keys, and the keys of the access log
    cursor.key          authenticates paging cursors
    signing.pem         signs receipts and reports (Ed25519; see `signing`)

The first start creates them with mode 0600. The database stores a check value of each key, so that a start with other
keys is refused before anything is written.
"""

import hmac
import re
import secrets
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from ..errors import BadKeys
from . import signing
from .files import is_destroyed, read_secret, sync_folder, write_secret
from .signing import SigningKeys
from .wrapping import PLAIN, Wrapping

_DEPLOYMENT_BYTES: Final = 16
_MASTER: Final = re.compile(r"wrapping-(\d+)\.key")
FIRST_EPOCH: Final = 1
DEPLOYMENT: Final = "deployment"
"""The name of the fact that identifies the deployment."""

CHECK: Final = "check "
"""The prefix of the facts that are check values."""


class Roots(msgspec.Struct, frozen=True):
    """The secrets, as they were read from the folder."""

    wrapping: Mapping[int, bytes]
    index: bytes
    cursor: bytes
    signing: SigningKeys

    def __repr__(self) -> str:
        return f"Roots(epochs={sorted(self.wrapping)})"

    def of(self, epochs: Container[int]) -> "Roots":
        """Return the roots with the masters of these epochs only: a master that a crash left behind is not in use."""
        wrapping = {epoch: key for epoch, key in self.wrapping.items() if epoch in epochs}
        return msgspec.structs.replace(self, wrapping=wrapping)

    def derive(self, use: str) -> bytes:
        """Return a 32-byte subkey of the index root for one use (HKDF-Expand with a single block, RFC 5869 §2.3)."""
        return hmac.digest(self.index, b"consentful/1/" + use.encode() + b"\x01", "sha256")

    def checks(self, deployment: bytes) -> dict[str, bytes]:
        """Return the check value of each root by its name."""
        signs = {self.signing.name: self.signing.key.private_bytes_raw()}
        secret = {"index": self.index, "cursor": self.cursor} | signs
        secret |= {wrapping_name(epoch): key for epoch, key in self.wrapping.items()}
        return {name: check_value(key, deployment) for name, key in secret.items()}


def new_deployment() -> bytes:
    """Return a random id for a new deployment; every seal is bound to it."""
    return secrets.token_bytes(_DEPLOYMENT_BYTES)


def create(folder: Path, wrapping: Wrapping = PLAIN) -> None:
    """Create the missing roots, durably and readable by their owner only.

    Raises:
        BadKeys: If the folder cannot be created or written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (wrapping_name(FIRST_EPOCH) + ".key", "index.key", "cursor.key"):
            write_secret(folder / name, wrapping)
        signing.create(folder, wrapping)
        sync_folder(folder)
    except OSError as error:
        raise BadKeys(f"{folder} cannot be written ({error.strerror}); name another --keys-dir") from None


def exist(folder: Path) -> bool:
    """Return whether the folder holds any root."""
    return folder.is_dir() and any(_key_files(folder))


def load(folder: Path, wrapping: Wrapping = PLAIN) -> Roots:
    """Return the roots.

    Raises:
        BadKeys: If one is missing, malformed, or readable by others than its owner, or cannot be unwrapped.
    """
    found = masters(folder, wrapping)
    if not found:
        raise BadKeys(f"{folder} has no wrapping-*.key; restore the keys of this database from the keys backup")
    return Roots(
        found,
        read_secret(folder / "index.key", wrapping),
        read_secret(folder / "cursor.key", wrapping),
        signing.load(folder, wrapping),
    )


def masters(folder: Path, wrapping: Wrapping = PLAIN) -> dict[int, bytes]:
    """Return the master keys by epoch; without one that another process destroys meanwhile.

    Raises:
        BadKeys: If one is malformed, or readable by others than its owner, or cannot be unwrapped.
    """
    found: dict[int, bytes] = {}
    for epoch, path in sorted(epochs(folder).items()):
        try:
            found[epoch] = read_secret(path, wrapping)
        except BadKeys:
            if not is_destroyed(path):
                raise
    return found


def epochs(folder: Path) -> dict[int, Path]:
    """Return the files of the master keys by epoch; none of a folder that does not exist."""
    matches = [(_MASTER.fullmatch(path.name), path) for path in folder.glob("wrapping-*.key")]
    return {int(match[1]): path for match, path in matches if match}


def stated(facts: Mapping[str, bytes], emptied: Iterable[int], roots: Roots) -> dict[str, bytes]:
    """Return the check values among the facts, except those of keys that may be destroyed: of emptied epochs, or
    retired.
    """
    gone = {wrapping_name(epoch) for epoch in emptied}
    values = {name.removeprefix(CHECK): value for name, value in facts.items() if name.startswith(CHECK)}
    return {
        name: value
        for name, value in values.items()
        if name not in gone and not signing.is_earlier(name, roots.signing.number)
    }


def check(roots: Roots, deployment: bytes, stored: Mapping[str, bytes]) -> None:
    """Check that these roots are the ones that the database was written with.

    Raises:
        BadKeys: If one differs or is missing.
    """
    actual = roots.checks(deployment)
    for name, value in stored.items():
        # A key that is missing fails as well.
        if not hmac.compare_digest(actual.get(name, b""), value):
            raise BadKeys(
                f"the key `{name}` is not the one that this database was written with; "
                "put the matching keys into --keys-dir, or name another --database; nothing was changed"
            )


def wrapping_check(epoch: int, master: bytes, deployment: bytes) -> dict[str, bytes]:
    """Return the fact that identifies the master of an epoch."""
    return {CHECK + wrapping_name(epoch): check_value(master, deployment)}


def check_value(secret: bytes, deployment: bytes) -> bytes:
    """Return a value that identifies the secret and reveals nothing of it (HMAC-SHA-256)."""
    return hmac.digest(secret, b"consentful/1/check/" + deployment, "sha256")


def wrapping_name(epoch: int) -> str:
    """Return the name of an epoch's master, as a file and among the facts."""
    return f"wrapping-{epoch:04d}"


def _key_files(folder: Path) -> list[Path]:
    return [*folder.glob("*.key"), *folder.glob("signing*.pem")]
