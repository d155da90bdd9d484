"""Verifying receipts and reports with published keys alone: a JWK set (RFC 7517), no store and no private key. Pure.

Whoever holds a receipt can verify it, without access to the service and for as long as they have its keys. Each check
has a sentence of its own, because the reader has nobody to ask.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey

from ..errors import BadSetting, Refusal
from . import jws

_EDDSA: Final = jws.Algorithms("EdDSA")
_COMPACT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
_KID: Final = re.compile(r"[\w.~:-]{1,100}", re.ASCII)
"""A key id that can be shown: it cannot control a terminal."""


class _JwkSet(msgspec.Struct):
    keys: list[dict[str, Any]]


class BadReceipt(Refusal):
    """The receipt or report is malformed, or was not signed with one of the keys."""

    code = "receipt"


def read_jwks(content: bytes) -> Mapping[str, OKPKey]:
    """Return the Ed25519 keys (RFC 8037) of a JWK set by their `kid`; keys of other kinds are left out (RFC 7517 §5).

    Raises:
        BadSetting: If it is not a JWK set, or has no such key.
    """
    try:
        found = msgspec.json.decode(content, type=_JwkSet)
        keys = {jwk["kid"]: OKPKey.import_key(jwk) for jwk in found.keys if _is_ours(jwk)}
    except (msgspec.MsgspecError, JoseError, KeyError, TypeError, ValueError):
        raise BadSetting(
            "jwks", "must be a JWK set (RFC 7517), as /.well-known/jwks.json of the service that signed the receipt"
        ) from None
    if not keys:
        raise BadSetting("jwks", "must have an Ed25519 key with a kid; receipts are signed with one")
    return keys


def verified(signed: str, keys: Mapping[str, OKPKey]) -> Mapping[str, Any]:
    """Return the claims of a receipt or report that one of these keys signed. Line breaks and quotes are ignored.

    Raises:
        BadReceipt: If it is not a compact JWS, names another algorithm or an unknown key, or was altered.
    """
    token = "".join(signed.split()).strip("\ufeff\"'")
    if not _COMPACT.fullmatch(token):
        raise BadReceipt(
            "this is not a compact JWS (RFC 7515): three parts of letters, digits, - and _, with dots between; copy the"
            " whole receipt"
        )
    key = _key_of(token, keys)
    try:
        return jws.verified(token, key, _EDDSA)
    except JoseError:
        raise BadReceipt("the signature does not match; the receipt was altered, or is not complete") from None


def _key_of(token: str, keys: Mapping[str, OKPKey]) -> OKPKey:
    """Return the key that the header names."""
    try:
        kid: Any = jws.header(token, _EDDSA).get("kid")
    except UnsupportedAlgorithmError:
        raise BadReceipt("the algorithm in the header is not EdDSA, with which receipts are signed") from None
    except JoseError:
        raise BadReceipt("the header cannot be read; the receipt was altered, or is not complete") from None
    if not isinstance(kid, str) or kid not in keys:
        shown = kid if isinstance(kid, str) and _KID.fullmatch(kid) else "that the header names"
        raise BadReceipt(
            f"the JWK set does not have the key {shown}; another service signed the receipt, or the set is older: fetch"
            " /.well-known/jwks.json of the issuer again"
        )
    return keys[kid]


def _is_ours(jwk: Mapping[str, Any]) -> bool:
    return jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519" and isinstance(jwk.get("kid"), str)
