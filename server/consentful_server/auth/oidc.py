"""Access tokens of an identity provider, for `--auth oidc`: signed JWTs (RFC 7519, RFC 8725, RFC 9068).

A token is checked in this order: size, header, algorithm, key, signature, claims (`claims`). Nothing of an unverified
token is used except `kid` and `alg`, which select the key among the provider's.

Any failure is `unauthenticated`, and the caller is told what a good token is, not what is wrong with this one. The log
tells that: the check, or the claim that failed, and for a wrong issuer or audience both values. The issuer that an
unverified token names is logged as well, because a token of another issuer fails already at its key. Anyone can send
bad tokens, so each reason is logged at most once in 10 s, with the number of tokens since.

State: the provider's keys (see `provider`), and when each reason was logged last. `recheck` needs no network: it
compares the time with the token's `exp`. The provider cannot revoke a JWT before that.
"""

import base64
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import Key

from ..clock import Clock, to_micros
from ..errors import Denial, TokenExpired, Unauthenticated
from ..keys import jws
from .access import Principal
from .claims import BadClaim, Rules, has_ended, same_issuer, shown
from .provider import ALGORITHMS, Provider

_LONGEST_TOKEN: Final = 16 * 1024
_ASYMMETRIC: Final = jws.Algorithms(*ALGORITHMS)
_NAMES_A_KEY: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""Header parameters by which a token would choose its own key or rules (RFC 7515 §4.1): it is refused."""

_LOGGED_EVERY_S: Final = 10.0
_log: Final = logging.getLogger("consentful.auth")


class _BadToken(Exception):  # noqa: N818 - named for what it says of the token
    """A token failed a check before its claims were read. The reason and the details may be logged."""

    def __init__(self, denial: Denial, reason: str, **details: str) -> None:
        super().__init__(denial, reason)
        self.denial: Denial = denial
        self.reason = reason
        self.details = details


class Oidc:
    """An `Access` for tokens of one issuer and one audience."""

    def __init__(self, provider: Provider, rules: Rules, clock: Clock) -> None:
        self._provider = provider
        self._rules = rules
        self._clock = clock
        self._remedy = (
            f"send an access token of {rules.issuer} for the audience {rules.audience} as `Authorization: Bearer …`;"
            " if it was one, the server's log names the claim that failed"
        )
        self._logged_at: dict[str, float] = {}
        self._refused = Counter[str]()

    async def authenticate(self, token: str | None) -> Principal:
        if token is None:
            raise Unauthenticated(self._remedy, denial="missing")
        denial: Denial
        try:
            return self._rules.principal(await self._verified(token), self._now)
        except BadClaim as bad:
            self._tell(f"claim {bad.claim}", bad.details)
            denial = "expired" if bad.claim == "exp" else "claim"
        except _BadToken as bad:
            self._tell(bad.reason, bad.details)
            denial = bad.denial
        raise Unauthenticated(self._remedy, denial=denial)

    def recall(self, token: str | None) -> Principal | None:
        if token is None:
            return None
        try:
            header = _header(token)
            key = self._provider.known(header.get("kid"), header["alg"])
            return None if key is None else self._rules.principal(_claims(token, key), self._now)
        except (BadClaim, _BadToken):
            return None  # `authenticate` tells why

    async def recheck(self, principal: Principal) -> None:
        if principal.until is None or has_ended(principal.until, self._now):
            raise TokenExpired

    @property
    def _now(self) -> int:
        return to_micros(self._clock.now())

    async def _verified(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that the issuer signed.

        Raises:
            _BadToken: If it did not.
        """
        header = _header(token)
        key = await self._provider.key(header.get("kid"), header["alg"])
        if key is None:
            raise _BadToken("key", "signing key unknown", **self._other_issuer(token))
        return _claims(token, key)

    def _other_issuer(self, token: str) -> dict[str, str]:
        """Return both issuers if an unverified token names another one."""
        payload = token.split(".")[1]
        try:
            claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Issued)
        except (ValueError, msgspec.MsgspecError):
            return {}
        if same_issuer(claims.iss, self._rules.issuer):
            return {}
        return {"expected": self._rules.issuer, "found": shown(claims.iss)}

    def _tell(self, reason: str, details: dict[str, str]) -> None:
        """Log why a token was refused, unless the same was logged a moment ago."""
        self._refused[reason] += 1
        now = self._clock.monotonic()
        if now - self._logged_at.get(reason, float("-inf")) >= _LOGGED_EVERY_S:
            self._logged_at[reason] = now
            _log.warning(
                "access token refused", extra={"reason": reason, "tokens": self._refused.pop(reason)} | details
            )


class _Issued(msgspec.Struct):
    """What is read of an unverified token."""

    iss: str = ""


def _header(token: str) -> Mapping[str, Any]:
    """Return the header of a token that is not verified yet.

    Raises:
        _BadToken: If it is no JWT, or names a key or an algorithm that it must not.
    """
    # The size first: decoding a header costs time in proportion to it.
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        raise _BadToken("malformed", "no JWT")
    try:
        header = jws.header(token, _ASYMMETRIC)
    except JoseError:
        raise _BadToken("malformed", "no JWT with an asymmetric algorithm") from None
    if not _NAMES_A_KEY.isdisjoint(header):
        raise _BadToken("malformed", "its header names a key")
    return header


def _claims(token: str, key: Key) -> dict[str, Any]:
    """Return the claims of a token that this key signed.

    Raises:
        _BadToken: If it did not.
    """
    try:
        return jws.verified(token, key, _ASYMMETRIC)
    except JoseError:
        raise _BadToken("signature", "signature") from None
