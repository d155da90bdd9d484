"""API keys, for `--auth keys`. The database holds keyed hashes of them, never the keys.

    cfl_<id>_<secret>     the id (48 bits) finds the row; HMAC(pepper, id and secret) is compared in constant time

The pepper is derived from a root key outside the database, so a copy of the database does not help to test secrets
(which have 256 bits).

State, on the event loop only: a cache of looked-up keys for 5 s each; another of ids that are unknown, which anyone can
send; and the times of use that `flush` has not written yet.

Races, and the line that closes each:

(R1) A key is revoked by another process: the cache may accept it for 5 s more. Open dialogs are rechecked
     before they store.
(R2) Two requests look the same key up at the same time: both read the store, and the later result stays in the cache.
(R3) A key is used while `flush` writes: the dict is replaced before the write, so the use goes into the next one.
(R4) Requests with random ids would fill a cache: unknown ids have one of their own, which is cleared when it is full,
     and only ids as `create` makes them are looked up. So it takes about a megabyte, and known keys stay cached.
"""

import hmac
import math
import re
import secrets
from collections.abc import Sequence
from typing import Final

from ..access_log.chain import SERVICE, Actor
from ..access_log.log import AccessLog
from ..clock import Clock, to_micros
from ..errors import Denial, TokenExpired, Unauthenticated
from .access import Principal, Scope
from .store import Credential, CredentialStore

_PREFIX: Final = "cfl"
"""Scanners for leaked secrets recognise a key by it."""

_RECHECK_S: Final = 5.0
"""How long a cached key is accepted; a revocation takes effect after that."""

_UNKNOWN_AT_MOST: Final = 10_000
_ID_BYTES: Final = 6
_ID: Final = re.compile(rf"[0-9a-f]{{{2 * _ID_BYTES}}}")

_NEVER: Final = (-math.inf, None)
"""The entry of an id that is not cached."""

_NO_HASH: Final = bytes(32)
"""Compared in place of an unknown key's hash: as long as a real one, so that the comparison takes as long."""


class ApiKeys:
    """An `Access` for API keys; creates and revokes them."""

    def __init__(self, store: CredentialStore, access_log: AccessLog, pepper: bytes, clock: Clock) -> None:
        self._store = store
        self._access_log = access_log
        self._pepper = pepper
        self._clock = clock
        self._known: dict[str, tuple[float, Credential]] = {}
        self._unknown: dict[str, tuple[float, None]] = {}
        self._used: dict[str, int] = {}

    async def authenticate(self, token: str | None) -> Principal:
        key_id, secret = _parts(token)
        principal = self._principal(key_id, secret, await self._look_up(key_id))
        if not isinstance(principal, Principal):
            raise Unauthenticated(denial=principal)
        return principal

    def recall(self, token: str | None) -> Principal | None:
        try:
            key_id, secret = _parts(token)
        except Unauthenticated:
            return None
        is_known, credential = self._recall(key_id)
        principal = self._principal(key_id, secret, credential) if is_known else None
        return principal if isinstance(principal, Principal) else None

    async def recheck(self, principal: Principal) -> None:
        credential = await self._look_up(principal.credential or "")
        if credential is None or not self._is_valid(credential):
            raise TokenExpired

    async def flush(self) -> None:
        """Record when keys were used since the last call. If the store fails, the next call tries again."""
        used, self._used = self._used, {}  # (R3)
        if not used:
            return
        try:
            await self._store.used(used)
        except BaseException:
            self._used = used | self._used  # later uses win
            raise

    async def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        purposes: Sequence[str] | None = None,
        expires_at: int | None = None,
        *,
        by: Actor = SERVICE,
    ) -> str:
        """Create a key and return it. It cannot be shown again."""
        key, credential = self._make(name, scopes, purposes, expires_at)
        await self._store.add(credential, self._access_log.note(by, "key.created", subject=credential.id))
        return key

    async def create_first(self, name: str, scopes: Sequence[Scope]) -> str | None:
        """Create a key and return it if there was never one; of several processes, one does. Otherwise return None."""
        key, credential = self._make(name, scopes)
        note = self._access_log.note(SERVICE, "key.created", subject=credential.id)
        return key if await self._store.add_first(credential, note) else None

    async def revoke(self, key_id: str, *, by: Actor) -> bool:
        """Revoke a key by its id, durably; return False if it does not exist."""
        was_known = await self._store.revoke(key_id, self._access_log.note(by, "key.revoked", subject=key_id))
        self._known.pop(key_id, None)  # in this process it takes effect at once
        return was_known

    def _make(
        self,
        name: str,
        scopes: Sequence[Scope],
        purposes: Sequence[str] | None = None,
        expires_at: int | None = None,
    ) -> tuple[str, Credential]:
        """Return a new key, and its row."""
        key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(32)
        credential = Credential(
            id=key_id,
            name=name,
            hash=self._hash(key_id, secret),
            scopes=tuple(scopes),
            purposes=None if purposes is None else tuple(purposes),
            created_at=to_micros(self._clock.now()),
            expires_at=expires_at,
        )
        return f"{_PREFIX}_{key_id}_{secret}", credential

    def _principal(self, key_id: str, secret: str, credential: Credential | None) -> Principal | Denial:
        """Return whom the key names, and note its use; or why it is not valid. Of a wrong secret that does not tell
        whether there is a key with this id.
        """
        expected = credential.hash if credential else _NO_HASH
        if not hmac.compare_digest(self._hash(key_id, secret), expected) or credential is None:
            return "unknown"
        if not self._is_valid(credential):
            return "expired" if credential.revoked_at is None else "revoked"
        self._used[key_id] = to_micros(self._clock.now())
        return Principal(credential.name, frozenset(credential.scopes), credential.purposes, credential=key_id)

    def _recall(self, key_id: str) -> tuple[bool, Credential | None]:
        """Return whether the key was looked up a moment ago, and what was found."""
        known, unknown = self._known.get(key_id), self._unknown.get(key_id)  # both, so that either takes as long
        until, credential = known or unknown or _NEVER
        return self._clock.monotonic() < until, credential

    async def _look_up(self, key_id: str) -> Credential | None:
        is_known, credential = self._recall(key_id)
        if is_known:
            return credential
        now = self._clock.monotonic()
        credential = await self._store.find(key_id)
        self._known.pop(key_id, None)
        self._unknown.pop(key_id, None)
        if len(self._unknown) >= _UNKNOWN_AT_MOST:
            self._unknown.clear()  # (R4)
        if credential is None:
            self._unknown[key_id] = (now + _RECHECK_S, None)
        else:
            self._known[key_id] = (now + _RECHECK_S, credential)  # (R1, R2)
        return credential

    def _hash(self, key_id: str, secret: str) -> bytes:
        # The id is part of it, so that the hash of one row is useless in another.
        return hmac.digest(self._pepper, f"{key_id}_{secret}".encode(), "sha256")

    def _is_valid(self, credential: Credential) -> bool:
        is_over = credential.expires_at is not None and to_micros(self._clock.now()) >= credential.expires_at
        return credential.revoked_at is None and not is_over


def _parts(token: str | None) -> tuple[str, str]:
    """Return the id and the secret of a key.

    Raises:
        Unauthenticated: If the token is none.
    """
    if token is None:
        raise Unauthenticated(denial="missing")
    if not token.isascii():  # aiohttp decodes stray bytes to surrogates, which cannot be encoded
        raise Unauthenticated(denial="malformed")
    prefix, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != _PREFIX or not _ID.fullmatch(key_id) or not secret:  # (R4)
        raise Unauthenticated(denial="malformed")
    return key_id, secret
