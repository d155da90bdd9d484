"""Access tokens of an identity provider, for `--auth oidc`: signed JWTs (RFC 7519, RFC 8725, RFC 9068).

    exp, iss, aud, sub   required
    iss, aud             must equal the configured ones
    exp, nbf             by this server's clock, with 30 s tolerance; `nbf` may be absent, since most providers omit it
    sub                  the principal's id, which owns the dialogs it captures
    scope, scp           the scopes; unknown ones are ignored
    purposes             reads dialogs granted for one of these; if absent, for any purpose

A token is checked in this order, and any failure is `unauthenticated` without a reason: size, header, algorithm, key,
signature, claims. Nothing of an unverified token is used except `kid` and `alg`, which select the key among the
provider's.

State: none but the provider's keys (see `provider`). `recheck` needs no network: it compares the time with the token's
`exp`. The provider cannot revoke a JWT before that.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from ..clock import Clock, to_micros
from ..errors import TokenExpired, Unauthenticated
from ..keys import jws
from .access import SCOPES, Principal
from .provider import ALGORITHMS, Provider

_SKEW_S: Final = 30
_LONGEST_TOKEN: Final = 16 * 1024
_LONGEST_SUBJECT: Final = 255
"""OpenID Connect Core 1.0 §2."""

_ASYMMETRIC: Final = jws.Algorithms(*ALGORITHMS)
_NAMES_A_KEY: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""Header parameters by which a token would choose its own key or rules (RFC 7515 §4.1): it is refused."""

_TIMES: Final = frozenset({"exp", "nbf", "iat"})
"""Claims that this module checks, by the service's clock instead of joserfc's."""

_LATEST_S: Final = 2**53
"""Greater numbers are not integers in every JSON implementation (RFC 8259 §6)."""


class Oidc:
    """An `Access` for tokens of one issuer and one audience."""

    def __init__(self, provider: Provider, issuer: str, audience: str, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock
        self._claims = JWTClaimsRegistry(
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
        )

    async def authenticate(self, token: str | None) -> Principal:
        # The size first: decoding a header costs time in proportion to it.
        if token is None or len(token) > _LONGEST_TOKEN or not token.isascii():
            raise Unauthenticated
        claims = await self._verified(token)
        until, since = _moment(claims.get("exp")), _moment(claims.get("nbf", 0))
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
            header = jws.header(token, _ASYMMETRIC)
            if not _NAMES_A_KEY.isdisjoint(header):
                raise Unauthenticated
            key = await self._provider.key(header.get("kid"), header["alg"])
            if key is None:
                raise Unauthenticated
            claims = jws.verified(token, key, _ASYMMETRIC)
            self._claims.validate({name: value for name, value in claims.items() if name not in _TIMES})
        except JoseError:
            raise Unauthenticated from None
        return claims


def _moment(seconds: Any) -> int:
    """Return a NumericDate (RFC 7519 §2) in microseconds."""
    # `not … <` instead of `>=`: a comparison with NaN is always False.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < _LATEST_S:
        raise Unauthenticated
    return int(seconds * 1_000_000)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    # Printable, because it appears in logs and in the access log.
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise Unauthenticated
    return subject


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the known scopes in `scope` (RFC 8693 §4.2) and `scp`, which providers use in its place."""
    return frozenset(SCOPES) & (_words(claims.get("scope")) | _words(claims.get("scp")))


def _words(claim: Any) -> frozenset[str]:
    if isinstance(claim, str):
        return frozenset(claim.split())
    try:
        return frozenset(msgspec.convert(claim, list[str]))
    except msgspec.ValidationError:
        return frozenset()


def _purposes(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the purposes that the token is bound to; None without the claim. A malformed claim binds to no purpose."""
    return tuple(sorted(_words(claims["purposes"]))) if "purposes" in claims else None
