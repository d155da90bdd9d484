"""API keys as a store keeps them."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ..access_log.store import Note


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An API key's keyed hash and properties. `purposes` None means every purpose. Times are microseconds."""

    id: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    purposes: tuple[str, ...] | None
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    """Accurate to the minute."""


class CredentialStore(Protocol):
    """The store's API keys."""

    async def all(self) -> list[Credential]:
        """Return every API key, also revoked ones, oldest first."""
        ...

    async def find(self, key_id: str) -> Credential | None: ...

    async def add(self, credential: Credential, note: Note | None = None) -> None: ...

    async def add_first(self, credential: Credential, note: Note | None = None) -> bool:
        """Add the key if there was never one, not even a revoked one; return whether it was added.

        Of several processes that call this at the same time, one adds its key.
        """
        ...

    async def revoke(self, key_id: str, note: Note | None = None) -> bool:
        """Revoke the key; return False if it does not exist. Revoking it again changes nothing."""
        ...

    async def used(self, when: Mapping[str, int]) -> None:
        """Record when keys were last used, by id, in microseconds; an earlier time changes nothing."""
        ...
