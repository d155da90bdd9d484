"""Compact JWS (RFC 7515): verified through joserfc, with the checks that it leaves to its caller, and written here.

A receipt is signed for every stored dialog. Its serialisation is three base64url strings and two dots (§7.1); through
joserfc a receipt took half as long again.

joserfc verifies the signature, that the algorithm is one of the allowed ones, and that the key has the type, the curve,
the `use` and the `alg` that the algorithm needs. This module adds:

- A header that is not a JSON object, or is nested too deeply, is malformed; joserfc raises TypeError or RecursionError.
- Unknown header parameters are ignored (RFC 7515 §4); the caller limits their size. joserfc would refuse them, headers
  over 512 bytes, and payloads over 128 kB, which a signed report may exceed.
- `EdDSA` is accepted without a warning: RFC 9864 deprecates the name, but receipts outlive names.
"""

import sys
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from joserfc import jws, jwt
from joserfc.errors import DecodeError, UnsupportedAlgorithmError
from joserfc.jwk import Key, KeySet
from joserfc.jws import JWSRegistry

_UNLIMITED: Final = sys.maxsize


class Algorithms(JWSRegistry):
    """The allowed algorithms, by name."""

    max_header_length = max_payload_length = max_signature_length = _UNLIMITED

    def __init__(self, *names: str) -> None:
        super().__init__(algorithms=names, strict_check_header=False)
        self._names = names

    def get_alg(self, name: str) -> Any:
        if name not in self._names:
            raise UnsupportedAlgorithmError("not allowed here")
        return self.algorithms[name]

    # Before joserfc's own check, which assumes an object.
    def check_header(self, header: Any) -> None:
        if not isinstance(header, dict):
            raise DecodeError("the header is not a JSON object")
        super().check_header(header)  # pyright: ignore[reportUnknownArgumentType] - the members are checked there


def header(token: str, algorithms: Algorithms) -> Mapping[str, Any]:
    """Return the header of a token whose signature is not verified yet; its algorithm is allowed.

    Raises:
        JoseError: If the token is malformed, or its algorithm is not allowed.
    """
    with _malformed_is_refused():
        found = jws.extract_compact(token.encode(), registry=algorithms).headers()
        algorithms.check_header(found)
        algorithms.get_alg(found["alg"])
        return found


def verified(token: str, key: Key | KeySet, algorithms: Algorithms) -> dict[str, Any]:
    """Return the claims of a token that was signed with this key, or with the key of the set that its `kid` names.

    Raises:
        JoseError: If the token is malformed, its algorithm is not allowed, or the signature is wrong.
    """
    with _malformed_is_refused():
        return jwt.decode(token, key, registry=algorithms).claims


def encoded(part: Mapping[str, Any]) -> bytes:
    """Return a header or claims as they stand in a compact JWS."""
    return base64url(_to_json(part))


def base64url(data: bytes) -> bytes:
    """Return the data in base64url, without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=")


_to_json: Final = msgspec.json.Encoder().encode


@contextmanager
def _malformed_is_refused() -> Generator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError):
        raise DecodeError("malformed") from None
