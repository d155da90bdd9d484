"""API keys: when they were last used is recorded, also if the store fails once."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from consentful_server.errors import StorageFailed
from consentful_server.service import open_service
from consentful_server.settings import Settings


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
