"""The keys of an identity provider, found by discovery (OpenID Connect Discovery 1.0 §4) and asked for nowhere else.

They are fetched again every ten minutes, and at once when a token names one that is not known, so that a provider can
change its keys at any time; but never more often than every ten seconds, whatever tokens name. While the provider does
not answer, the keys that are known go on, for a day.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import Key, OKPKey, import_key
from joserfc.jws import JWSRegistry
from joserfc.util import base64_to_int

from ..clock import Clock
from ..errors import ProviderDown
from ..settings import is_safe

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519", "Ed448"),
)
"""All asymmetric. `EdDSA` is what RFC 9864 calls `Ed25519` or `Ed448`, after the curve."""

_TYPES: Final = ("RSA", "EC", "OKP")
_MEMBERS: Final = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y")
"""What is read of a key; the certificates that come with it need not be well-formed."""

_SIGNING_CURVES: Final = ("Ed25519", "Ed448")
_DISCOVERY: Final = "/.well-known/openid-configuration"
_FRESH_S: Final = 600.0
_LEAST_S: Final = 10.0
_STALE_S: Final = 86_400.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_MOST_BYTES: Final = 256 * 1024
_LEAST_RSA_BITS: Final = 2048

_log: Final = logging.getLogger("consentful.provider")


class Unusable(Exception):  # noqa: N818 - named for what it says of the answer
    """What the provider answered cannot be used; the reason may be logged."""


class ProviderKey(NamedTuple):
    """One public key, and the algorithms that it is for: those of its type and curve, or the only one it names."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key

    def fits(self, kid: str | None, algorithm: str) -> bool:
        return (kid is None or self.kid == kid) and algorithm in self.algorithms


class Provider:
    """One identity provider, named by its issuer."""

    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys: list[ProviderKey] = []
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the public key that a token names, or the only one that it can be; None if there is none.

        Raises:
            ProviderDown: If no keys are known, because the provider does not answer.
        """
        for age in (_FRESH_S, _LEAST_S):
            await self.renew(age)
            fitting = [key for key in self._keys if key.fits(kid, algorithm)]
            if len(fitting) == 1:
                return fitting[0].key
        return None

    async def renew(self, age: float = _FRESH_S) -> None:
        """See to it that the keys are not older than this many seconds, as far as the provider answers.

        Raises:
            ProviderDown: If none are known.
        """
        async with self._lock:
            if self._clock.monotonic() - max(self._fetched_at, self._tried_at) >= min(age, _LEAST_S):
                await self._renew(age)
        if self._clock.monotonic() - self._fetched_at > _STALE_S:
            raise ProviderDown

    async def _renew(self, age: float) -> None:
        now = self._clock.monotonic()
        if now - self._fetched_at < age:
            return
        self._tried_at = now
        try:
            self._keys = await self._fetch()
        except (Unusable, aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) if isinstance(error, Unusable) else type(error).__name__
            _log.error("the identity provider's keys cannot be had", extra={"issuer": self._issuer, "reason": reason})
        else:
            self._fetched_at = now

    async def _fetch(self) -> list[ProviderKey]:
        about = await _get_json(self._issuer.rstrip("/") + _DISCOVERY)
        if about.get("issuer") != self._issuer:
            raise Unusable("it says that it is another issuer")  # §4.3
        address = about.get("jwks_uri")
        if not isinstance(address, str) or not self._may_ask(address):
            raise Unusable("its jwks_uri is none that may be asked")
        return list(_usable(await _get_json(address)))

    def _may_ask(self, address: str) -> bool:
        """Whether keys may come from there: over TLS, or from this machine for an issuer on this machine."""
        return is_safe(address) and (
            urlsplit(address).scheme == "https" or urlsplit(address).netloc == urlsplit(self._issuer).netloc
        )


async def _get_json(address: str) -> dict[str, Any]:
    """Return what is there; a redirect is not followed, and what is too much is not read."""
    body = bytearray()
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(address, allow_redirects=False, headers={"Accept": "application/json"}) as response,
    ):
        if response.status != 200:
            raise Unusable(f"it answered {response.status}")
        async for part in response.content.iter_chunked(64 * 1024):
            body += part
            if len(body) > _MOST_BYTES:
                raise Unusable("it answered too much")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise Unusable("it answered something that is no JSON object") from None


class _Jwks(msgspec.Struct):
    """A set of keys (RFC 7517 §5)."""

    keys: list[dict[str, Any]]


def _usable(body: Mapping[str, Any]) -> Iterator[ProviderKey]:
    """Yield the keys that tokens may be signed with; others are for somebody else."""
    try:
        jwks = msgspec.convert(body, _Jwks)
    except msgspec.ValidationError:
        raise Unusable("its keys are no JWK set") from None
    for jwk in jwks.keys:
        # Malformed, or of a curve that joserfc or OpenSSL does not know.
        with suppress(JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
            if _is_to_sign_with(jwk):
                key = import_key({name: jwk[name] for name in _MEMBERS if name in jwk})
                yield ProviderKey(key.kid, _algorithms(key), key)


def _is_to_sign_with(jwk: Mapping[str, Any]) -> bool:
    """Whether this is a public key, for signatures, and strong enough."""
    if jwk.get("kty") not in _TYPES or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return False
    # Before the key is made: joserfc makes a weak one too, and warns.
    return jwk["kty"] != "RSA" or base64_to_int(jwk["n"]).bit_length() >= _LEAST_RSA_BITS


def _algorithms(key: Key) -> frozenset[str]:
    if isinstance(key, OKPKey) and key.curve_name not in _SIGNING_CURVES:
        return frozenset()  # X25519 and X448 agree on keys; joserfc finds that out only when it verifies
    return frozenset(algorithm.name for algorithm in JWSRegistry.filter_algorithms(key, list(ALGORITHMS)))
