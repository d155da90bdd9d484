"""`--auth oidc`: access tokens of an identity provider, as signed JWTs (RFC 7519, RFC 8725, RFC 9068).

    iss, aud     must be the configured ones            exp, nbf    by this server's clock, 30 s off at most
    sub          who is asking, and owns dialogs        scope, scp  what they may do; scopes of others are passed over
    purposes     reads dialogs granted for one of these; all if the claim is absent

`exp`, `iss`, `aud` and `sub` must be there; `nbf` counts where it is, since most providers set none.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import jwt
import msgspec
from jwt.types import Options

from ..clock import Clock, to_micros
from ..errors import TokenExpired, Unauthenticated
from .access import SCOPES, Principal
from .provider import ALGORITHMS, Provider

_SKEW_S: Final = 30
_LONGEST_TOKEN: Final = 16 * 1024
_LONGEST_SUBJECT: Final = 255
"""OpenID Connect Core 1.0 §2."""

_ASYMMETRIC: Final = frozenset[str]().union(*ALGORITHMS.values())
_NAMES_A_KEY: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""Headers that would say what to verify the token with, or how (RFC 7515 §4.1): neither is the token's to say."""

_OPTIONS: Final[Options] = {
    "require": ["exp", "iss", "aud", "sub"],
    "verify_exp": False,  # the times are looked at here, by the service's clock
    "verify_nbf": False,
    "verify_iat": False,
}


class Oidc:
    """An `Access` for tokens of one issuer that are meant for one audience."""

    def __init__(self, provider: Provider, issuer: str, audience: str, clock: Clock) -> None:
        self._provider = provider
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def authenticate(self, token: str | None) -> Principal:
        if token is None or len(token) > _LONGEST_TOKEN or not token.isascii():
            raise Unauthenticated
        claims = await self._verified(token)
        until, since = _moment(claims["exp"]), _moment(claims.get("nbf", 0))
        if not since - self._skew <= self._now < until + self._skew:
            raise Unauthenticated
        return Principal(_subject(claims), _scopes(claims), _purposes(claims), until=until)

    async def recheck(self, principal: Principal) -> None:
        if principal.until is None or self._now >= principal.until + self._skew:
            raise TokenExpired

    @property
    def _now(self) -> int:
        return to_micros(self._clock.now())

    _skew: Final = _SKEW_S * 1_000_000

    async def _verified(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that the issuer signed for this audience."""
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = header.get("kid"), header.get("alg")
            if algorithm not in _ASYMMETRIC or not _NAMES_A_KEY.isdisjoint(header):
                raise Unauthenticated
            key = await self._provider.key(kid, algorithm)
            if key is None:
                raise Unauthenticated
            return jwt.decode(token, key, [algorithm], options=_OPTIONS, audience=self._audience, issuer=self._issuer)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Unauthenticated from None


def _moment(seconds: Any) -> int:
    """Return a NumericDate (RFC 7519 §2) in microseconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise Unauthenticated
    return int(seconds * 1_000_000)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise Unauthenticated
    return subject


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return our scopes among those of `scope` (RFC 8693 §4.2) and `scp`, which providers write in two ways."""
    return frozenset(SCOPES) & (_words(claims.get("scope")) | _words(claims.get("scp")))


def _words(claim: Any) -> frozenset[str]:
    if isinstance(claim, str):
        return frozenset(claim.split())
    try:
        return frozenset(msgspec.convert(claim, list[str]))
    except msgspec.ValidationError:
        return frozenset()


def _purposes(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the purposes that the token is bound to. A claim that cannot be read binds to none, and widens nothing."""
    return tuple(sorted(_words(claims["purposes"]))) if "purposes" in claims else None
