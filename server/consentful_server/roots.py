"""The root keys: four independent secrets in a folder of their own, outside the data directory.

    wrapping-0001.key   wraps the dialogs' keys; its number is its epoch (see `rotation`)
    index.key           makes pseudonyms and the hashes of API keys
    cursor.key          authenticates paging cursors
    signing.pem         signs receipts (Ed25519)

They are made with mode 0600 on the first start. The database keeps a check value of each, so that keys that do not
fit it are refused before anything is written, and nothing is ever overwritten.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from .errors import BadKeys

SECRET_BYTES: Final = 32
_DEPLOYMENT_BYTES: Final = 16
FIRST_EPOCH: Final = 1
CHECK: Final = "check "
"""What the name of a check value among the facts begins with."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Signer:
    """Signs receipts as compact JWS (RFC 7515, EdDSA of RFC 8037) and publishes the key to check them with."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.jwk: dict[str, Any] = _public_jwk(key.public_key())
        self._headers = {"kid": self.jwk["kid"], "typ": "consent-receipt+jwt"}

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self._key, algorithm="EdDSA", headers=self._headers)


class Roots(msgspec.Struct, frozen=True):
    """The secrets, as they were read."""

    wrapping: Mapping[int, bytes]
    index: bytes
    cursor: bytes
    signing: Ed25519PrivateKey

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
        signing = self.signing.private_bytes_raw()
        secret = {"index": self.index, "cursor": self.cursor, "signing": signing}
        secret |= {wrapping_name(epoch): key for epoch, key in self.wrapping.items()}
        return {name: _check_value(key, deployment) for name, key in secret.items()}


def new_deployment() -> bytes:
    """Return an id for a new database; seals are bound to it."""
    return secrets.token_bytes(_DEPLOYMENT_BYTES)


def create(folder: Path) -> None:
    """Make the roots that are not there yet, each readable by its owner only and on disk before this returns."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (wrapping_name(FIRST_EPOCH) + ".key", "index.key", "cursor.key"):
        write_new(folder / name, base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n")
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_new(folder / "signing.pem", pem)
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
        _signing(folder / "signing.pem"),
    )


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
    return {CHECK + wrapping_name(epoch): _check_value(master, deployment)}


def _check_value(secret: bytes, deployment: bytes) -> bytes:
    return hmac.digest(secret, b"consentful/1/check/" + deployment, "sha256")


def wrapping_name(epoch: int) -> str:
    """Return how the master of an epoch is called, in the folder and among the facts."""
    return f"wrapping-{epoch:04d}"


def _key_files(folder: Path) -> list[Path]:
    return [*folder.glob("*.key"), *folder.glob("signing*.pem")]


def write_new(path: Path, content: bytes) -> None:
    """Create the file whole or not at all; an existing one is left as it is."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, path)  # fails, where a rename would overwrite
    except FileExistsError:
        pass  # another process was first, and its key counts
    finally:
        os.unlink(fresh)


def sync_folder(folder: Path) -> None:
    """Make durable which files are in the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadKeys(f"{path} is missing; put it back from the backup of the keys; nothing was changed") from None
    except OSError as error:
        raise BadKeys(f"{path} cannot be read ({error.strerror}); run the server as the owner of the keys") from None
    if mode & _OTHERS:
        raise BadKeys(f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}")
    return content


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes of a key file.

    Raises:
        BadKeys: If it is missing, malformed or readable by anyone but its owner.
    """
    content = _read(path)
    try:
        secret = base64.b64decode(content.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise BadKeys(f"{path} is not a key of {SECRET_BYTES} bytes in base64; put it back from the backup of the keys")
    return secret


def _signing(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeys(f"{path} is not an Ed25519 key in PKCS#8 PEM; put it back from the backup of the keys")
    return key


def _public_jwk(key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the public key as a JWK (RFC 7517), named by its thumbprint (RFC 7638)."""
    jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{jwk["x"]}"}}'.encode()
    kid = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": jwk["x"], "kid": kid, "use": "sig", "alg": "EdDSA"}
