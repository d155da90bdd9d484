"""Who may do what: scopes, API keys, and the open door for a laptop."""

import hmac
import secrets
from collections.abc import Sequence
from typing import Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from .chain import SERVICE, Actor
from .clock import Clock, to_micros
from .errors import Forbidden, TokenExpired, Unauthenticated
from .logbook import Logbook
from .stores import Store
from .stores.credentials import Credential
from .views import Sight

Scope: TypeAlias = Literal["dialogs:write", "data:read", "data:identify", "privacy"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_PREFIX: Final = "cfl"
"""By which scanners for leaked secrets recognise a key."""

_RECHECK_S: Final = 5.0
"""How long a key that was looked up is believed; a revocation takes that long."""

_CACHED_AT_MOST: Final = 10_000


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
    def sight(self) -> Sight:
        return Sight(self.purposes, identify=self.may("data:identify"), by=self.actor)

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


class OpenDoor:
    """`--auth none`: whoever reaches the loopback interface may do everything."""

    async def authenticate(self, token: str | None) -> Principal:
        return Principal("local", frozenset(SCOPES))

    async def recheck(self, principal: Principal) -> None:
        """Nobody who is in is put out."""


class Keys:
    """`--auth keys`: API keys, of which the database holds keyed hashes only.

    A key reads `cfl_<id>_<secret>`: the id finds the row, the secret (256 bits) is compared in constant time.
    """

    def __init__(self, store: Store, logbook: Logbook, pepper: bytes, clock: Clock) -> None:
        self._store = store
        self._logbook = logbook
        self._pepper = pepper
        self._clock = clock
        self._seen: dict[str, tuple[float, Credential | None]] = {}
        self._used: dict[str, int] = {}

    async def authenticate(self, token: str | None) -> Principal:
        if token is None or not token.isascii():  # bytes that are no text come as surrogates, which nothing encodes
            raise Unauthenticated
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != _PREFIX or not key_id or not secret:
            raise Unauthenticated
        credential = await self._look_up(key_id)
        expected = credential.hash if credential else b""
        if not hmac.compare_digest(self._hash(key_id, secret), expected) or credential is None:
            raise Unauthenticated
        if not self._is_good(credential):
            raise Unauthenticated
        self._used[key_id] = to_micros(self._clock.now())
        return Principal(credential.name, frozenset(credential.scopes), credential.purposes, credential=key_id)

    async def recheck(self, principal: Principal) -> None:
        credential = await self._look_up(principal.credential or "")
        if credential is None or not self._is_good(credential):
            raise TokenExpired

    async def flush(self) -> None:
        """Put on record when keys were used since the last time."""
        used, self._used = self._used, {}
        if used:
            await self._store.credentials.used(used)

    async def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        purposes: Sequence[str] | None = None,
        expires_at: int | None = None,
        *,
        by: Actor = SERVICE,
    ) -> str:
        """Make a key and return it: the only time that it is seen."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        credential = Credential(
            id=key_id,
            name=name,
            hash=self._hash(key_id, secret),
            scopes=tuple(scopes),
            purposes=None if purposes is None else tuple(purposes),
            created_at=to_micros(self._clock.now()),
            expires_at=expires_at,
        )
        await self._store.credentials.add(credential, self._logbook.note(by, "key.created", subject=key_id))
        return f"{_PREFIX}_{key_id}_{secret}"

    async def revoke(self, key_id: str, *, by: Actor) -> bool:
        """Revoke a key by its id, from now on; False if there is none."""
        return await self._store.credentials.revoke(key_id, self._logbook.note(by, "key.revoked", subject=key_id))

    async def _look_up(self, key_id: str) -> Credential | None:
        now = self._clock.monotonic()
        until, credential = self._seen.get(key_id, (0.0, None))
        if now >= until:
            credential = await self._store.credentials.find(key_id)
            if len(self._seen) >= _CACHED_AT_MOST:
                self._seen.clear()
            self._seen[key_id] = (now + _RECHECK_S, credential)
        return credential

    def _hash(self, key_id: str, secret: str) -> bytes:
        return hmac.digest(self._pepper, f"{key_id}_{secret}".encode(), "sha256")

    def _is_good(self, credential: Credential) -> bool:
        is_over = credential.expires_at is not None and to_micros(self._clock.now()) >= credential.expires_at
        return credential.revoked_at is None and not is_over
