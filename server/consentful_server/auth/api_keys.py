"""API keys: `--auth keys`. The database holds keyed hashes of them only."""

import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from ..access_log.chain import SERVICE, Actor
from ..access_log.log import AccessLog
from ..clock import Clock, to_micros
from ..errors import TokenExpired, Unauthenticated
from .access import Principal, Scope
from .store import Credential, CredentialStore

_PREFIX: Final = "cfl"
"""By which scanners for leaked secrets recognise a key."""

_RECHECK_S: Final = 5.0
"""How long a key that was looked up is believed; a revocation takes that long."""

_CACHED_AT_MOST: Final = 10_000

_NO_HASH: Final = bytes(32)
"""What stands in for the hash of an unknown key: as long as a real one, or comparing with it would take less time."""


class ApiKeys:
    """`--auth keys`: API keys, of which the database holds keyed hashes only.

    A key reads `cfl_<id>_<secret>`: the id finds the row, the secret (256 bits) is compared in constant time.
    """

    def __init__(self, store: CredentialStore, access_log: AccessLog, pepper: bytes, clock: Clock) -> None:
        self._store = store
        self._access_log = access_log
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
        expected = credential.hash if credential else _NO_HASH
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
            await self._store.used(used)

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
        await self._store.add(credential, self._access_log.note(by, "key.created", subject=key_id))
        return f"{_PREFIX}_{key_id}_{secret}"

    async def revoke(self, key_id: str, *, by: Actor) -> bool:
        """Revoke a key by its id, from now on; False if there is none."""
        return await self._store.revoke(key_id, self._access_log.note(by, "key.revoked", subject=key_id))

    async def _look_up(self, key_id: str) -> Credential | None:
        now = self._clock.monotonic()
        until, credential = self._seen.get(key_id, (0.0, None))
        if now >= until:
            credential = await self._store.find(key_id)
            if len(self._seen) >= _CACHED_AT_MOST:
                self._seen.clear()
            self._seen[key_id] = (now + _RECHECK_S, credential)
        return credential

    def _hash(self, key_id: str, secret: str) -> bytes:
        return hmac.digest(self._pepper, f"{key_id}_{secret}".encode(), "sha256")

    def _is_good(self, credential: Credential) -> bool:
        is_over = credential.expires_at is not None and to_micros(self._clock.now()) >= credential.expires_at
        return credential.revoked_at is None and not is_over
