"""The keys that sign receipts and reports. The latest one signs; signatures of earlier ones can still be verified.

    signing.pem, signing-0002.pem …     private keys (Ed25519); only the latest one exists
    signing.jwk, signing-0002.jwk …     the public halves of earlier ones

They lie among the other roots. Replacing the key, and what a crash after each step leaves:

    1. write the public half of the present key      the present key still signs
    2. create the next private key                   both exist; the later one signs
    3. record its check value (`deployment`)         the same, and a start accepts it
    4. destroy the earlier private key               done

So there is always a key that signs, and none whose signatures cannot be verified. Other processes load the new key
within 30 s (housekeeping); until then they sign with the earlier one.

Threads: `Signer.sign` is called on the event loop and on the store's writer thread, `renew` on the event loop.

(R1) A key is replaced while another thread signs: the key and the header that names it are one tuple, read once, so a
     signature never carries the `kid` of another key.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from ..errors import BadKeys
from . import jws
from .files import destroy_file, read_private, sync_folder, write_new
from .wrapping import PLAIN, Wrapping

_FIRST: Final = "signing"
_NAME: Final = re.compile(r"signing(?:-(\d+))?")
_EDDSA: Final = jws.Algorithms("EdDSA")
"""`EdDSA` also in new signatures: verifiers of receipts may not know the name of RFC 9864, `Ed25519`, yet."""

Jwk = dict[str, Any]


class SigningKeys(msgspec.Struct, frozen=True):
    """The key that signs, its number, and the public halves of earlier ones."""

    number: int
    key: Ed25519PrivateKey
    retired: tuple[Jwk, ...] = ()

    def __repr__(self) -> str:
        return f"SigningKeys(number={self.number})"

    @property
    def name(self) -> str:
        """The key's name, as a file and among the facts."""
        return _name(self.number)


class Signer:
    """Signs compact JWS (RFC 7515, EdDSA of RFC 8037), and publishes the public keys (RFC 7517)."""

    def __init__(self, keys: SigningKeys) -> None:
        self.renew(keys)

    def renew(self, keys: SigningKeys) -> None:
        """Sign with this key from now on; publish it, and earlier ones."""
        self.jwk: Jwk = _public(keys.key.public_key())
        self.jwks: Sequence[Jwk] = (self.jwk, *keys.retired)
        self._published = KeySet([OKPKey.import_key(jwk) for jwk in self.jwks])  # before anything is signed with it
        header = {"alg": "EdDSA", "kid": self.jwk["kid"], "typ": "consent-receipt+jwt"}
        self._signing = jws.encoded(header), keys.key  # (R1)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return the claims as a compact JWS, signed with the latest key."""
        header, key = self._signing  # (R1)
        signed = header + b"." + jws.encoded(claims)
        return (signed + b"." + jws.base64url(key.sign(signed))).decode()

    def verified(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this key or an earlier one signed.

        Raises:
            JoseError: If it is malformed, or none of them signed it.
        """
        return jws.verified(token, self._published, _EDDSA)


def create(folder: Path, wrapping: Wrapping = PLAIN) -> None:
    """Create the first key, unless one exists."""
    if not any(_numbered(folder, "pem")):
        _make(folder, 1, wrapping)


def load(folder: Path, wrapping: Wrapping = PLAIN) -> SigningKeys:
    """Return the keys.

    Raises:
        BadKeys: If there is no private key, or one is malformed or readable by others than its owner.
    """
    number, path = max(_numbered(folder, "pem"), default=(1, folder / f"{_FIRST}.pem"))
    before = sorted(_numbered(folder, "jwk"), reverse=True)
    return SigningKeys(
        number, _private(path, wrapping), tuple(_retired(path) for other, path in before if other < number)
    )


def replace(folder: Path, wrapping: Wrapping = PLAIN) -> SigningKeys:
    """Create the next key, and keep the public half of the present one; its private half stays until `retire`.

    Raises:
        BadKeys: As `load` does.
    """
    now = load(folder, wrapping)
    write_new((folder / now.name).with_suffix(".jwk"), msgspec.json.encode(_public(now.key.public_key())) + b"\n")
    _make(folder, now.number + 1, wrapping)
    sync_folder(folder)
    return load(folder, wrapping)


def retire(folder: Path) -> None:
    """Destroy the private half of every key except the latest."""
    *earlier, _ = sorted(_numbered(folder, "pem"))
    for _, path in earlier:
        destroy_file(path)


def is_retired(path: Path) -> bool:
    """Return whether the path names a private key that another one in its folder has replaced."""
    return path.suffix == ".pem" and path.with_suffix(".jwk").exists()


def is_earlier(name: str, number: int) -> bool:
    """Return whether the name is that of a signing key with a lower number."""
    match = _NAME.fullmatch(name)
    return match is not None and int(match[1] or 1) < number


def _numbered(folder: Path, suffix: str) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"{_FIRST}*.{suffix}"):
        if match := _NAME.fullmatch(path.stem):
            yield int(match[1] or 1), path


def _name(number: int) -> str:
    return _FIRST if number == 1 else f"{_FIRST}-{number:04d}"


def _make(folder: Path, number: int, wrapping: Wrapping) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_new(folder / f"{_name(number)}.pem", wrapping.wrap(_name(number), pem))


def _private(path: Path, wrapping: Wrapping) -> Ed25519PrivateKey:
    pem = wrapping.unwrap(path.stem, read_private(path))
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeys(f"{path} is not an Ed25519 key in PKCS#8 PEM; restore it from the keys backup")
    return key


def _retired(path: Path) -> Jwk:
    try:
        key = OKPKey.import_key(msgspec.json.decode(read_private(path), type=dict[str, Any])).raw_value
    except (ValueError, TypeError, KeyError, JoseError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKeys(f"{path} is not an Ed25519 public key as a JWK; restore it from the keys backup")
    return _public(key)


def _public(key: Ed25519PublicKey) -> Jwk:
    """Return the public key as a JWK (RFC 7517) whose `kid` is its thumbprint (RFC 7638)."""
    jwk = OKPKey.import_key(key)
    return dict(jwk.as_dict(kid=jwk.thumbprint(), use="sig", alg="EdDSA"))
