"""`/.well-known/jwks.json`: the public keys that verify receipts and reports."""

from typing import Final, Literal

import msgspec
from aiohttp import hdrs, web

from ..http import tags
from ..http.pipeline import SERVICE
from ..http.route import Answer, Route

_JWKS: Final = "application/jwk-set+json"


class Jwk(msgspec.Struct, frozen=True):
    """One public key (RFC 8037). `kid` is its thumbprint (RFC 7638)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class Jwks(msgspec.Struct, frozen=True):
    """The public keys that verify receipts and reports: the current signing key first, then earlier ones."""

    keys: list[Jwk]


async def jwks(request: web.Request) -> web.StreamResponse:
    """Return the public keys that verify receipts and reports, as a JWK set (RFC 7517)."""
    body = msgspec.json.encode(Jwks([Jwk(**jwk) for jwk in request.app[SERVICE].signer.jwks]))
    headers = {hdrs.CACHE_CONTROL: "public, max-age=300", hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"}
    return web.Response(body=body, content_type=_JWKS, headers=headers)


ROUTES: Final = (
    Route(
        "GET",
        "/.well-known/jwks.json",
        jwks,
        answers=(Answer({_JWKS: Jwks}),),
        tag=tags.WITHDRAWAL,
        operation="rest_jwks",
    ),
)
