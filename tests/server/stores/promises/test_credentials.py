"""What every store promises of credentials."""

import asyncio

from consentful_server.auth.store import Credential
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock


def _key(key_id: str) -> Credential:
    return Credential(id=key_id, name="first", hash=b"#" * 32, scopes=("privacy",), purposes=None, created_at=1)


async def test_the_first_credential_is_added_once(store: Store) -> None:
    first, other = _key("k-1"), _key("k-2")

    added = await asyncio.gather(store.credentials.add_first(first), store.credentials.add_first(other))

    assert sorted(added) == [False, True]
    assert len(await store.credentials.all()) == 1
    await store.credentials.revoke((await store.credentials.all())[0].id)
    assert not await store.credentials.add_first(other)


async def test_credentials_are_kept_and_revoked(store: Store, clock: FakeClock) -> None:
    credential = Credential(
        id="k-1", name="shop", hash=b"h", scopes=("data:read",), purposes=("research",), created_at=5, expires_at=9
    )
    await store.credentials.add(credential)

    assert await store.credentials.find("k-1") == credential
    assert await store.credentials.find("k-2") is None
    assert await store.credentials.revoke("k-1")
    revoked = await store.credentials.find("k-1")
    clock.advance(60)
    assert await store.credentials.revoke("k-1")
    assert not await store.credentials.revoke("k-2")
    assert await store.credentials.all() == [revoked]
    assert revoked is not None
    assert revoked.revoked_at is not None
