"""What is refused takes the same steps, whatever was wrong with it: how long it takes tells nothing."""

import hmac
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.testing import Served, serve
from kept import bearer, keep

Steps = list[str]


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with serve(auth="keys") as served:
        yield served


@pytest.fixture
def steps(service: Served, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """What was done, from now on: secrets that were hashed or compared, and questions to the store."""
    done: Steps = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            done.append(name)
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, watched)

    for name in ("digest", "compare_digest"):
        watch(hmac, name)
    watch(service.service.store.credentials, "find")
    for name in ("find", "erase", "withdraw"):
        watch(service.service.store.dialogs, name)
    return done


async def test_an_unknown_key_and_a_wrong_secret(service: Served, steps: Steps) -> None:
    one, another = await service.create_key(name="one"), await service.create_key(name="another")
    prefix, key_id, secret = one.split("_", 2)
    taken: list[tuple[int, bytes, Steps]] = []
    async with ClientSession(service.url) as http:
        for token in (f"{prefix}_{key_id[::-1]}_{secret}", f"{prefix}_{key_id}_{secret[::-1]}", another[:-1]):
            steps.clear()
            async with http.get("/v1/messages", headers=bearer(token)) as response:
                taken.append((response.status, await response.read(), steps.copy()))

    assert taken[0][0] == 401
    assert "compare_digest" in taken[0][2]
    assert taken == [taken[0]] * 3


async def test_another_chatbots_dialog_and_none(service: Served, steps: Steps) -> None:
    key = await service.create_key("dialogs:write", name="mine")
    await keep(service.service, "theirs", owner="another")
    taken: list[tuple[int, bytes, Steps]] = []
    async with ClientSession(service.url) as http:
        for dialog_id in ("theirs", "nobodys"):
            await http.delete("/v1/dialogs/first", headers=bearer(key))
            steps.clear()
            async with http.delete(f"/v1/dialogs/{dialog_id}", headers=bearer(key)) as response:
                taken.append((response.status, await response.read(), steps.copy()))

    assert taken[0][0] == 404
    assert taken[0][2]
    assert taken[0] == taken[1]
