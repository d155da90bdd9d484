"""API keys, as a store keeps them."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ..access_log.store import Note


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored: its keyed hash, never itself. `purposes` None reads dialogs of every purpose."""

    id: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    purposes: tuple[str, ...] | None
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    """To the minute."""


class CredentialStore(Protocol):
    """The store's API keys."""

    async def all(self) -> list[Credential]:
        """Return every API key, revoked ones as well, oldest first."""
        ...

    async def find(self, key_id: str) -> Credential | None: ...

    async def add(self, credential: Credential, note: Note | None = None) -> None: ...

    async def revoke(self, key_id: str, note: Note | None = None) -> bool:
        """Revoke the key from now on; False if there is no such key. Revoking again changes nothing."""
        ...

    async def used(self, when: Mapping[str, int]) -> None:
        """Put on record when keys were last used, by their ids."""
        ...
