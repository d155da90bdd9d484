"""Refusals of a caller: of its token, its scopes, its origin."""

from .refusal import Denial, Refusal


class Unauthenticated(Refusal):
    """The request has no token, or one that is unknown, expired or revoked. `remedy` says which token is wanted."""

    code = "unauthenticated"

    def __init__(
        self,
        remedy: str = "send a valid token as `Authorization: Bearer …`; `consentful keys create` creates one",
        *,
        denial: Denial = "unknown",
    ) -> None:
        super().__init__(remedy)
        self.remedy = remedy
        self.denial = denial

    def __str__(self) -> str:
        return self.remedy


class TokenExpired(Refusal):
    """The token of a live dialog expired, or was revoked, before the customer granted consent. Nothing was stored."""

    code = "token_expired"
    denial = "expired"

    def __str__(self) -> str:
        return "the token has expired and nothing was stored; reconnect with a new token and replay the dialog"


class Forbidden(Refusal):
    """The token is valid, but the request needs more: a scope, or an allowed origin or host."""

    code = "forbidden"

    def __init__(self, needed: str, *, scope: str | None = None, denial: Denial = "scope") -> None:
        super().__init__(needed)
        self.needed = needed
        self.scope = scope
        """A scope with which the token would be accepted; None if no scope helps."""
        self.denial = denial

    def __str__(self) -> str:
        return f"access denied; this requires {self.needed}"
