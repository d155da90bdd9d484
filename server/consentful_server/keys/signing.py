"""The keys that receipts and reports are signed with. The latest signs; those before it can still be verified with.

    signing.pem, signing-0002.pem …     private (Ed25519); only the latest is there
    signing.jwk, signing-0002.jwk …     the public halves of those that signed before it

They lie among the other roots. Replacing one writes what is new before it destroys what is old, so that a crash at any
point leaves a key to sign with, and none that could no longer be verified with.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from ..errors import BadKeys
from . import jws
from .files import destroy_file, read_private, sync_folder, write_new

_FIRST: Final = "signing"
_NAME: Final = re.compile(r"signing(?:-(\d+))?")
_EDDSA: Final = jws.Algorithms("EdDSA")
"""Also of what is signed from now on: those who verify receipts may not know its name of RFC 9864, `Ed25519`, yet."""

Jwk = dict[str, Any]


class SigningKeys(msgspec.Struct, frozen=True):
    """The key that signs, its number, and the public halves of those before it."""

    number: int
    key: Ed25519PrivateKey
    retired: tuple[Jwk, ...] = ()

    def __repr__(self) -> str:
        return f"SigningKeys(number={self.number})"

    @property
    def name(self) -> str:
        """How the key is called, in the folder and among the facts."""
        return _name(self.number)


class Signer:
    """Signs as compact JWS (RFC 7515, EdDSA of RFC 8037), and publishes the keys to verify it with."""

    def __init__(self, keys: SigningKeys) -> None:
        self.renew(keys)

    def renew(self, keys: SigningKeys) -> None:
        """Sign with this key from now on, and publish those before it."""
        self.jwk: Jwk = _public(keys.key.public_key())
        self.jwks: Sequence[Jwk] = (self.jwk, *keys.retired)
        self._key = OKPKey(keys.key, self.jwk)  # told its public JWK, so that joserfc makes none of the private key
        self._published = KeySet([OKPKey.import_key(jwk) for jwk in self.jwks])
        self._header = {"alg": "EdDSA", "kid": self.jwk["kid"], "typ": "consent-receipt+jwt"}

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(self._header, dict(claims), self._key, registry=_EDDSA)

    def verified(self, token: str) -> dict[str, Any]:
        """Return what was signed, by this key or one before it.

        Raises:
            JoseError: If it is malformed, or none of them signed it.
        """
        return jws.verified(token, self._published, _EDDSA)


def create(folder: Path) -> None:
    """Make the first key, unless there is one."""
    if not any(_numbered(folder, "pem")):
        _make(folder, 1)


def load(folder: Path) -> SigningKeys:
    """Return the keys.

    Raises:
        BadKeys: If there is none to sign with, or one is malformed or readable by anyone but its owner.
    """
    number, path = max(_numbered(folder, "pem"), default=(1, folder / f"{_FIRST}.pem"))
    before = sorted(_numbered(folder, "jwk"), reverse=True)
    return SigningKeys(number, _private(path), tuple(_retired(path) for other, path in before if other < number))


def replace(folder: Path) -> SigningKeys:
    """Make the next key, and keep of the present one its public half; its private half is there until `retire`.

    Raises:
        BadKeys: As `load` does.
    """
    now = load(folder)
    write_new((folder / now.name).with_suffix(".jwk"), msgspec.json.encode(_public(now.key.public_key())) + b"\n")
    _make(folder, now.number + 1)
    sync_folder(folder)
    return load(folder)


def retire(folder: Path) -> None:
    """Destroy the private half of every key but the latest."""
    *earlier, _ = sorted(_numbered(folder, "pem"))
    for _, path in earlier:
        destroy_file(path)


def is_retired(path: Path) -> bool:
    """Whether this is a private key whose place was taken by another in its folder."""
    return path.suffix == ".pem" and path.with_suffix(".jwk").exists()


def is_earlier(name: str, number: int) -> bool:
    """Whether a name among the facts is that of a key before this number."""
    match = _NAME.fullmatch(name)
    return match is not None and int(match[1] or 1) < number


def _numbered(folder: Path, suffix: str) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"{_FIRST}*.{suffix}"):
        if match := _NAME.fullmatch(path.stem):
            yield int(match[1] or 1), path


def _name(number: int) -> str:
    return _FIRST if number == 1 else f"{_FIRST}-{number:04d}"


def _make(folder: Path, number: int) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_new(folder / f"{_name(number)}.pem", pem)


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeys(f"{path} is not an Ed25519 key in PKCS#8 PEM; put it back from the backup of the keys")
    return key


def _retired(path: Path) -> Jwk:
    try:
        key = OKPKey.import_key(msgspec.json.decode(read_private(path), type=dict[str, Any])).raw_value
    except (ValueError, TypeError, KeyError, JoseError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKeys(f"{path} is not an Ed25519 public key as a JWK; put it back from the backup of the keys")
    return _public(key)


def _public(key: Ed25519PublicKey) -> Jwk:
    """Return the public key as a JWK (RFC 7517), named by its thumbprint (RFC 7638)."""
    jwk = OKPKey.import_key(key)
    return dict(jwk.as_dict(kid=jwk.thumbprint(), use="sig", alg="EdDSA"))
