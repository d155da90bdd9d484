"""The public keys of an identity provider, from its discovery document (OpenID Connect Discovery 1.0 §4).

    age of the keys    a token names a known key           a token names an unknown key
    up to 10 s         use it                              refuse the token
    up to 10 min       use it                              fetch, then use or refuse it
    up to 24 h         use it, and fetch meanwhile         fetch, then use or refuse it
    over 24 h, or no keys yet                              fetch, or ProviderDown

A fetch that fails keeps the known keys, and no fetch begins within 10 s of the last one. So a provider can replace its
keys at any time, and an attacker who invents key ids causes one request in 10 s. Housekeeping fetches the keys before
they are 10 minutes old, also while nobody sends a token, so a key that the provider withdrew is not used for longer.

Everything runs on the event loop; `_lock` serialises the fetches. `_fetching` is the fetch that nobody waits for.

Races, and the line that closes each:

(R1) Many requests need new keys at the same time: one fetches under the lock; the others wait, and then find the time
     of its attempt.
(R2) The provider does not answer: tokens with a known key do not wait. Those with an unknown one wait up to 5 s for the
     attempt, once in 10 s, and are refused.
(R3) The provider replaces its keys between two requests: the second finds its key unknown, and fetches.
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
from .claims import same_issuer, shown

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519", "Ed448"),
)
"""All asymmetric. `EdDSA` is the name of RFC 8037 for `Ed25519` and `Ed448` of RFC 9864."""

_TYPES: Final = ("RSA", "EC", "OKP")
_MEMBERS: Final = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y")
"""The JWK members that are read; certificates beside them need not be well-formed."""

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
    """The provider's response cannot be used; the reason may be logged."""


class ProviderKey(NamedTuple):
    """One public key, and its algorithms: those of its type and curve, or the only one that it names."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key

    def fits(self, kid: str | None, algorithm: str) -> bool:
        return (kid is None or self.kid == kid) and algorithm in self.algorithms


class Provider:
    """One identity provider, identified by its issuer."""

    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys: list[ProviderKey] = []
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the public key that the token names, or the only one that fits; None if there is none or several.

        Raises:
            ProviderDown: If no keys are known, because the provider cannot be reached.
        """
        known = self.known(kid, algorithm)
        if known is not None:
            return known
        for age in (_FRESH_S, _LEAST_S):  # (R3)
            await self.renew(age)
            found = self._fitting(kid, algorithm)
            if found is not None:
                return found
        return None

    def known(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the same key if it need not be fetched first; otherwise None."""
        known, age = self._fitting(kid, algorithm), self.age
        if known is None or age > _STALE_S:
            return None
        if age >= _FRESH_S:
            self._renew_meanwhile()  # (R2)
        return known

    async def refresh(self) -> None:
        """Fetch the keys in time before they are 10 minutes old. A failure is logged."""
        with suppress(ProviderDown):
            await self.renew(_FRESH_S / 2)

    async def renew(self, age: float = _FRESH_S) -> None:
        """Fetch the keys if they are older than `age` seconds and no fetch was tried in the last 10 s.

        Raises:
            ProviderDown: If no keys are known, or they are older than a day.
        """
        async with self._lock:  # (R1)
            # A failed attempt counts as well: a provider that is down is not asked more often than one that is up.
            if self._clock.monotonic() - max(self._fetched_at, self._tried_at) >= min(age, _LEAST_S):
                await self._renew(age)
        if self.age > _STALE_S:
            raise ProviderDown

    @property
    def age(self) -> float:
        """Age of the keys in seconds; infinite before there are any."""
        return self._clock.monotonic() - self._fetched_at

    def _fitting(self, kid: str | None, algorithm: str) -> Key | None:
        fitting = [key for key in self._keys if key.fits(kid, algorithm)]
        return fitting[0].key if len(fitting) == 1 else None

    def _renew_meanwhile(self) -> None:
        """Fetch the keys in a task, unless one is running."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self.refresh(), name="consentful-provider")

    async def _renew(self, age: float) -> None:
        now = self._clock.monotonic()
        if now - self._fetched_at < age:
            return
        self._tried_at = now  # (R1, R2) before the attempt, so that it counts even if it fails or is cancelled
        try:
            self._keys = await self._fetch()
        except (Unusable, aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) if isinstance(error, Unusable) else type(error).__name__
            details = {"issuer": self._issuer, "reason": reason}
            _log.error("cannot fetch the identity provider's keys; keeping the current ones", extra=details)
        else:
            self._fetched_at = now

    async def _fetch(self) -> list[ProviderKey]:
        about = await _get_json(self._issuer.rstrip("/") + _DISCOVERY)
        issuer = about.get("issuer")
        if not isinstance(issuer, str) or not same_issuer(issuer, self._issuer):
            raise Unusable(f"the discovery document names another issuer: {shown(issuer)}")  # §4.3
        address = about.get("jwks_uri")
        if not isinstance(address, str) or not self._may_ask(address):
            raise Unusable("jwks_uri is missing, or neither https nor on the issuer's own host")
        return list(_usable(await _get_json(address)))

    def _may_ask(self, address: str) -> bool:
        """Return whether keys may be fetched there: over TLS, or from the issuer's own host on this machine."""
        return is_safe(address) and (
            urlsplit(address).scheme == "https" or urlsplit(address).netloc == urlsplit(self._issuer).netloc
        )


async def _get_json(address: str) -> dict[str, Any]:
    """Return the JSON object at the address. Redirects are not followed, and at most `_MOST_BYTES` are read."""
    body = bytearray()
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session,
        # A redirect could lead the request to an address that `_may_ask` would refuse.
        session.get(address, allow_redirects=False, headers={"Accept": "application/json"}) as response,
    ):
        if response.status != 200:
            raise Unusable(f"HTTP status {response.status}")
        async for part in response.content.iter_chunked(64 * 1024):
            body += part
            if len(body) > _MOST_BYTES:
                raise Unusable(f"response exceeds {_MOST_BYTES // 1024} KiB")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise Unusable("response is not a JSON object") from None


class _Jwks(msgspec.Struct):
    """A JWK set (RFC 7517 §5)."""

    keys: list[dict[str, Any]]


def _usable(body: Mapping[str, Any]) -> Iterator[ProviderKey]:
    """Yield the keys that may sign tokens; a key set may hold others."""
    try:
        jwks = msgspec.convert(body, _Jwks)
    except msgspec.ValidationError:
        raise Unusable("response is not a JWK set") from None
    for jwk in jwks.keys:
        # A malformed key, or one of an unknown curve, must not make the others unusable.
        with suppress(JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
            if _is_signing_key(jwk):
                key = import_key({name: jwk[name] for name in _MEMBERS if name in jwk})
                yield ProviderKey(key.kid, _algorithms(key), key)


def _is_signing_key(jwk: Mapping[str, Any]) -> bool:
    """Return whether this is a public key for signatures that is strong enough."""
    # With `d` it is a private key: it was published, so anyone can sign with it.
    if jwk.get("kty") not in _TYPES or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return False
    # Checked before the import: joserfc imports a weak key with a warning.
    return jwk["kty"] != "RSA" or base64_to_int(jwk["n"]).bit_length() >= _LEAST_RSA_BITS


def _algorithms(key: Key) -> frozenset[str]:
    if isinstance(key, OKPKey) and key.curve_name not in _SIGNING_CURVES:
        return frozenset()  # X25519 and X448 are for key agreement; joserfc would notice only when it verifies
    return frozenset(algorithm.name for algorithm in JWSRegistry.filter_algorithms(key, list(ALGORITHMS)))
