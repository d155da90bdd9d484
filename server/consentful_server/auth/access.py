"""Scopes, the principal that has them, and the protocol that authenticates a token."""

from typing import Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from ..access_log.chain import Actor
from ..errors import Forbidden
from .read_scope import ReadScope

Scope: TypeAlias = Literal["dialogs:write", "data:read", "data:identify", "data:annotate", "privacy", "operate"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


class Principal(msgspec.Struct, frozen=True):
    """An authenticated caller. `id` owns the dialogs that it captures; `purposes` None reads dialogs of every purpose.

    `request` is the id of its HTTP request. `credential` is the id of its API key. `until` is when its token expires,
    in microseconds since the epoch. Both serve `recheck` while a connection stays open.
    """

    id: str
    scopes: frozenset[str]
    purposes: tuple[str, ...] | None = None
    request: str | None = None
    credential: str | None = None
    until: int | None = None

    def may(self, *scopes: Scope) -> bool:
        """Return whether it has one of the scopes."""
        return not self.scopes.isdisjoint(scopes)

    def require(self, *scopes: Scope) -> None:
        """Check that it has one of the scopes.

        Raises:
            Forbidden: If it has none of them.
        """
        if not self.may(*scopes):
            raise Forbidden("the scope " + " or ".join(scopes), scope=scopes[0])

    def require_unbound(self, reason: str) -> None:
        """Check that it is not bound to purposes.

        Raises:
            Forbidden: If it is. `reason` says what the resource tells, and what to use instead.
        """
        if self.purposes is not None:
            raise Forbidden(f"a credential that is not bound to purposes, because {reason}", denial="purposes")

    @property
    def read_scope(self) -> ReadScope:
        """What it may read."""
        return ReadScope(self.purposes, identify=self.may("data:identify"), by=self.actor)

    @property
    def actor(self) -> Actor:
        """Its name in the access log."""
        return Actor(self.id, "credential", self.request)


class Access(Protocol):
    """Authenticates tokens."""

    async def authenticate(self, token: str | None) -> Principal:
        """Return the principal of a token.

        Raises:
            Unauthenticated: If the token is missing, unknown, expired or revoked.
            ProviderDown: If the identity provider's keys are needed and cannot be fetched.
        """
        ...

    def recall(self, token: str | None) -> Principal | None:
        """Return the principal of a token if that is known already; None if it has to be looked up, or is not valid."""
        ...

    async def recheck(self, principal: Principal) -> None:
        """Check that a token which was authenticated earlier is still valid.

        Raises:
            TokenExpired: If it has expired or was revoked since.
        """
        ...


_LOCAL: Final = Principal("local", frozenset(SCOPES))


class NoAuthentication:
    """`--auth none`: everyone who reaches the loopback interface has every scope."""

    async def authenticate(self, token: str | None) -> Principal:
        return _LOCAL

    def recall(self, token: str | None) -> Principal | None:
        return _LOCAL

    async def recheck(self, principal: Principal) -> None:
        """Return: there is no token that could expire."""
