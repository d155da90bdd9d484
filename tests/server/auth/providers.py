"""An identity provider that does what a test tells it to, and tokens that it signs, or that somebody forges."""

import base64
import hmac
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from consentful_server.auth.oidc import Oidc
from consentful_server.clock import Clock
from consentful_server.errors import Unauthenticated

AUDIENCE = "consentful"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    """Return the public half of a key, as a provider publishes it."""
    return {**_of_joserfc(key.public_key()).as_dict(kid=kid, use="sig"), **more}


def _of_joserfc(key: Any) -> RSAKey | ECKey | OKPKey:
    """Return the key as joserfc has it. Not imported, which would warn of a small one."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return RSAKey(key, key)
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return ECKey(key, key)
    return OKPKey(key, key)


class FakeProvider:
    """What it answers, and how often it was asked for its keys."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys = [jwk("rsa", RSA), jwk("ec", EC), jwk("ed", ED), jwk("small", SMALL_RSA)]
        self.discovery: dict[str, Any] = {}
        self.answer: web.StreamResponse | None = None
        self.asked = 0
        self.elsewhere = 0

    async def about(self, _: web.Request) -> web.StreamResponse:
        if self.answer is not None:
            answer, self.answer = self.answer, None
            return answer
        return web.json_response({"issuer": self.issuer, "jwks_uri": self.issuer + "/jwks"} | self.discovery)

    async def jwks(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        return web.json_response({"keys": self.keys})

    async def other(self, _: web.Request) -> web.StreamResponse:
        self.elsewhere += 1
        return web.json_response({"keys": [jwk("rsa", OTHER_RSA)]})

    def token(
        self, clock: Clock, key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any
    ) -> str:
        """Return a token that is good, but for the claims that are given; None leaves one out."""
        return signed(key, algorithm, self.claims(clock, **claims), {} if kid is None else {"kid": kid})

    def claims(self, clock: Clock, **claims: Any) -> dict[str, Any]:
        now = int(clock.now().timestamp())
        good = {"iss": self.issuer, "aud": AUDIENCE, "sub": "shop", "exp": now + 300, "nbf": now, "scope": "data:read"}
        return {name: value for name, value in (good | claims).items() if value is not None}


def signed(key: Any, algorithm: str, claims: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """Return a JWT, however odd."""
    body = _body({"alg": algorithm, "typ": "JWT", **headers}, claims)
    signature = JWSRegistry.algorithms[algorithm].sign(body, key and _of_joserfc(key))
    return b".".join((body, _base64url(signature))).decode()


def with_hmac(secret: bytes, claims: Mapping[str, Any], kid: str) -> str:
    """Return a JWT whose MAC was made with what is no secret, as no library makes one any more."""
    body = _body({"alg": "HS256", "kid": kid}, claims)
    return b".".join((body, _base64url(hmac.digest(secret, body, "sha256")))).decode()


def _body(*parts: Any) -> bytes:
    return b".".join(_base64url(json.dumps(part).encode()) for part in parts)


def _base64url(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


@asynccontextmanager
async def provider() -> AsyncGenerator[FakeProvider]:
    """Run one on a free port of the loopback interface."""
    fake, app = FakeProvider(), web.Application()
    app.router.add_get("/.well-known/openid-configuration", fake.about)
    app.router.add_get("/jwks", fake.jwks)
    app.router.add_get("/elsewhere", fake.other)
    async with TestServer(app) as server:
        fake.issuer = str(server.make_url("")).rstrip("/")
        yield fake


async def refused(oidc: Oidc, token: str | None) -> None:
    """Check that the token is refused."""
    with pytest.raises(Unauthenticated):
        await oidc.authenticate(token)
