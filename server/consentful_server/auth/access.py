"""Who may do what: scopes, the principal that has them, and what tells who a token belongs to."""

from typing import Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from ..access_log.chain import Actor
from ..errors import Forbidden
from .read_scope import ReadScope

Scope: TypeAlias = Literal["dialogs:write", "data:read", "data:identify", "privacy"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


class Principal(msgspec.Struct, frozen=True):
    """Who is asking. `id` owns the dialogs that it captures; `purposes` None reads dialogs of any purpose.

    `request` is the id of the HTTP request with which it asks. `credential` names the key that it came with, and
    `until` is when its token ends, in microseconds since the epoch: whoever stays connected is looked at again.
    """

    id: str
    scopes: frozenset[str]
    purposes: tuple[str, ...] | None = None
    request: str | None = None
    credential: str | None = None
    until: int | None = None

    def may(self, *scopes: Scope) -> bool:
        """Whether it has one of the scopes."""
        return not self.scopes.isdisjoint(scopes)

    def require(self, *scopes: Scope) -> None:
        """See that it has one of the scopes.

        Raises:
            Forbidden: If it has none.
        """
        if not self.may(*scopes):
            raise Forbidden("the scope " + " or ".join(scopes))

    @property
    def read_scope(self) -> ReadScope:
        return ReadScope(self.purposes, identify=self.may("data:identify"), by=self.actor)

    @property
    def actor(self) -> Actor:
        return Actor(self.id, "credential", self.request)


class Access(Protocol):
    """Tells who a token belongs to."""

    async def authenticate(self, token: str | None) -> Principal:
        """Return who is asking.

        Raises:
            Unauthenticated: If the token is missing, unknown, expired or revoked.
        """
        ...

    async def recheck(self, principal: Principal) -> None:
        """See that the token, with which somebody came a while ago, is still good.

        Raises:
            TokenExpired: If it has ended or was revoked since.
        """
        ...


class NoAuthentication:
    """`--auth none`: whoever reaches the loopback interface may do everything."""

    async def authenticate(self, token: str | None) -> Principal:
        return Principal("local", frozenset(SCOPES))

    async def recheck(self, principal: Principal) -> None:
        """Nobody who is in is put out."""
