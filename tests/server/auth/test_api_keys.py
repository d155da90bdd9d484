"""API keys: when they were last used is recorded, also if the store fails once; and what is cached of them."""

import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from consentful_server.access_log.store import Note
from consentful_server.auth.api_keys import ApiKeys
from consentful_server.auth.store import Credential
from consentful_server.errors import StorageFailed, Unauthenticated
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock


async def test_a_use_that_could_not_be_recorded_is_recorded_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(when: Mapping[str, int]) -> None:
        raise StorageFailed

    async with open_service(Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", auth="keys")) as service:
        token = await service.api_keys.create("ann", ["data:read"])
        await service.api_keys.authenticate(token)
        with monkeypatch.context() as patch:
            patch.setattr(service.store.credentials, "used", fails)
            with pytest.raises(StorageFailed):
                await service.api_keys.flush()
        await service.api_keys.flush()

        (credential,) = await service.store.credentials.all()
        assert credential.last_used_at is not None


class Counting:
    """A store with one key, which counts the look-ups of each id."""

    def __init__(self) -> None:
        self.added: list[Credential] = []
        self.asked = Counter[str]()

    async def add(self, credential: Credential, note: Note | None = None) -> None:
        self.added.append(credential)

    async def add_first(self, credential: Credential, note: Note | None = None) -> bool:
        if self.added:
            return False
        self.added.append(credential)
        return True

    async def find(self, key_id: str) -> Credential | None:
        self.asked[key_id] += 1
        return next((it for it in self.added if it.id == key_id), None)

    async def all(self) -> list[Credential]:
        return self.added

    async def revoke(self, key_id: str, note: Note | None = None) -> bool:
        return False

    async def used(self, when: Mapping[str, int]) -> None:
        pass


@pytest.fixture
async def counting(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[tuple[ApiKeys, Counting]]:
    async with open_service(Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")) as service:
        store = Counting()
        yield ApiKeys(store, service.access_log, b"p" * 32, clock), store


async def test_keys_that_nobody_made_fill_no_memory_and_push_out_no_key_that_is_in_use(
    counting: tuple[ApiKeys, Counting],
) -> None:
    keys, store = counting
    token = await keys.create("ann", ["data:read"])
    await keys.authenticate(token)
    tracemalloc.start()
    try:
        for number in range(25_000):
            with pytest.raises(Unauthenticated):
                await keys.authenticate(f"cfl_{number:012x}_secret")
        store.asked = Counter({token.split("_")[1]: store.asked[token.split("_")[1]]})  # what the test itself keeps
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    await keys.authenticate(token)

    assert store.asked == {token.split("_")[1]: 1}
    assert kept < 3_000_000


@pytest.mark.parametrize("key_id", ["0", "a" * 5_000, "A" * 12, "g" * 12, "0" * 13, "0" * 11, "٠" * 12])
async def test_an_id_that_cannot_be_a_keys_is_not_looked_up(counting: tuple[ApiKeys, Counting], key_id: str) -> None:
    keys, store = counting

    with pytest.raises(Unauthenticated):
        await keys.authenticate(f"cfl_{key_id}_secret")

    assert not store.asked


async def test_a_key_that_another_process_made_is_known_after_5_seconds(
    counting: tuple[ApiKeys, Counting], clock: FakeClock
) -> None:
    keys, store = counting
    token = await keys.create("ann", ["data:read"])
    (made,) = store.added
    store.added.clear()
    with pytest.raises(Unauthenticated):
        await keys.authenticate(token)
    store.added.append(made)
    with pytest.raises(Unauthenticated):
        await keys.authenticate(token)

    clock.advance(5)

    assert (await keys.authenticate(token)).id == "ann"
