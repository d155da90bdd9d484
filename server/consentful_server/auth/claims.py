"""The claims of a verified access token (RFC 7519 §4.1), and what they grant here. Pure.

exp, iss, aud, sub   required
iss                  the issuer's; a final slash more or less is the same issuer, see `same_issuer`
aud                  the audience, or a list with it
exp, nbf             by this server's clock, with 30 s tolerance; `nbf` may be absent, since most providers omit it
sub                  the principal's id, which owns the dialogs it captures
scope, scp           the scopes, as words or as a list; unknown ones are ignored
--scope-claim        further claims with scopes, such as `roles`; `a.b` is the claim `b` within the claim `a`
--scope-map          words that providers write instead of ours, such as `api://consentful/data:read`
purposes             reads dialogs granted for one of these; if absent, for any purpose
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from ..errors import BadSetting
from ..settings import Settings
from .access import SCOPES, Principal

SCOPE_CLAIMS: Final = ("scope", "scp")
"""Where scopes are: RFC 8693 §4.2, and the claim that providers use in its place."""

_OURS: Final[Mapping[str, frozenset[str]]] = MappingProxyType({name: frozenset([name]) for name in SCOPES})
_SKEW: Final = 30 * 1_000_000
_LONGEST_SUBJECT: Final = 255
"""OpenID Connect Core 1.0 §2."""

_LATEST_S: Final = 2**53
"""Greater numbers are not integers in every JSON implementation (RFC 8259 §6)."""

_LONGEST_SHOWN: Final = 200


class BadClaim(Exception):  # noqa: N818 - named for what it says of the token
    """A claim is missing or is not what it must be. The names and the values in `details` may be logged."""

    def __init__(self, claim: str, **details: str) -> None:
        super().__init__(claim)
        self.claim = claim
        self.details = details


class Rules(msgspec.Struct, frozen=True):
    """What this server demands of a token, and how it reads scopes."""

    issuer: str
    audience: str
    scope_claims: tuple[str, ...] = SCOPE_CLAIMS
    scopes: Mapping[str, frozenset[str]] = _OURS
    """The scopes that each word grants."""

    def principal(self, claims: Mapping[str, Any], now: int) -> Principal:
        """Return the principal of a verified token. `now` is in microseconds since the epoch.

        Raises:
            BadClaim: If a claim is missing, or is not what it must be.
        """
        issuer, audience = claims.get("iss"), claims.get("aud")
        if not isinstance(issuer, str) or not same_issuer(issuer, self.issuer):
            raise BadClaim("iss", expected=self.issuer, found=shown(issuer))
        if self.audience not in (_strings(audience) or ()):
            raise BadClaim("aud", expected=self.audience, found=shown(audience))
        until, since = _moment("exp", claims.get("exp")), _moment("nbf", claims.get("nbf", 0))
        if has_ended(until, now):
            raise BadClaim("exp", found="a time that has passed")
        if now < since - _SKEW:
            raise BadClaim("nbf", found="a time to come")
        if not isinstance(claims.get("jti", ""), str):
            raise BadClaim("jti")
        return Principal(_subject(claims.get("sub")), self._scopes(claims), _purposes(claims), until=until)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        words = (word for name in self.scope_claims for word in _words(_found(claims, name)))
        return frozenset[str]().union(*(self.scopes.get(word, frozenset()) for word in words))


def has_ended(until: int, now: int) -> bool:
    """Return whether a token with this `exp` (microseconds) is no longer accepted."""
    return now >= until + _SKEW


def same_issuer(one: str, other: str) -> bool:
    """Return whether two URLs name one issuer.

    OpenID Connect Discovery 1.0 §4.3 compares them exactly. But both spellings lead to the same discovery document
    (§4.1 removes a final slash), so they cannot be two issuers, and providers themselves use both.
    """
    return one.rstrip("/") == other.rstrip("/")


def rules_of(settings: Settings) -> Rules:
    """Return the rules of a server with these settings.

    Raises:
        BadSetting: If `scope_map` names no word, or an unknown scope.
    """
    granted = dict(_OURS)
    for pair in settings.scope_map:
        word, _, scope = pair.rpartition("=")
        if not word.strip() or scope not in SCOPES:
            raise BadSetting(
                "scope_map",
                "must be a word of your provider, = and one of "
                f"{', '.join(SCOPES)}, such as api://consentful/data:read=data:read; {pair!r} is not",
            )
        granted[word] = granted.get(word, frozenset()) | {scope}
    claims = (*SCOPE_CLAIMS, *settings.scope_claim)
    return Rules(settings.issuer, settings.audience, claims, granted)


def shown(value: Any) -> str:
    """Return a claim's value for a log line: printable and short, whatever it is."""
    text = "nothing" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_LONGEST_SHOWN])


def _moment(claim: str, seconds: Any) -> int:
    """Return a NumericDate (RFC 7519 §2) in microseconds."""
    # `not … <` instead of `>=`: a comparison with NaN is always False.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < _LATEST_S:
        raise BadClaim(claim, found="no time" if seconds is not None else "nothing")
    return int(seconds * 1_000_000)


def _subject(subject: Any) -> str:
    # Printable, because it appears in logs and in the access log.
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise BadClaim("sub")
    return subject


def _found(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim with this name, or at this path of names. Names may contain dots: they are URLs at Auth0."""
    if name in claims:
        return claims[name]
    first, _, rest = name.partition(".")
    inner = claims.get(first)
    return _found(cast("Mapping[str, Any]", inner), rest) if rest and isinstance(inner, dict) else None


def _strings(claim: Any) -> list[str] | None:
    """Return a claim that is a text or a list of texts; None if it is neither."""
    if isinstance(claim, str):
        return [claim]
    try:
        return msgspec.convert(claim, list[str])
    except msgspec.ValidationError:
        return None


def _words(claim: Any) -> frozenset[str]:
    """Return the words of a text, or the texts of a list."""
    return frozenset(claim.split() if isinstance(claim, str) else _strings(claim) or ())


def _purposes(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the purposes that the token is bound to; None without the claim. A malformed claim binds to no purpose."""
    return tuple(sorted(_words(claims["purposes"]))) if "purposes" in claims else None
