"""What the service signs, read as anybody outside can: with the published keys, and with no code of ours."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def header_of(token: str) -> dict[str, Any]:
    """Return the header of a compact JWS (RFC 7515 §3.1)."""
    return json.loads(_octets(token.split(".", maxsplit=1)[0]))


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, whoever signed them."""
    return json.loads(_octets(token.split(".")[1]))


def verified(token: str, *jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of a JWT that one of these Ed25519 keys signed, the one that it names (RFC 8037).

    Raises:
        InvalidSignature: If it did not.
    """
    header = header_of(token)
    assert header["alg"] == "EdDSA"
    (jwk,) = (jwk for jwk in jwks if jwk["kid"] == header["kid"])
    assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")
    signed, _, signature = token.rpartition(".")
    Ed25519PublicKey.from_public_bytes(_octets(jwk["x"])).verify(_octets(signature), signed.encode())
    return claims_of(token)


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
