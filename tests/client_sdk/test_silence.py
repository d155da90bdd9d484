"""Words are contraband: no log line, repr or error carries them."""

import logging
from typing import Any

import aiohttp
import pytest

import consentful
from consentful import wire

from .conftest import Opened, Opens
from .scripted import ScriptedServer, task


async def test_nothing_that_is_shown_carries_words_customers_or_tokens(
    server: ScriptedServer, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "consentful"):
        dialog, peer = await opened(customer_id="Mrs-Secret", token="token-secret", dialog_id="d-1")
        await dialog.say("secret words")
        await peer.hear(1)
        await peer.send(wire.Closing("draining", 3))
        await peer.drop()
        again = await server.accept_open()
        await again.hear(1)
        granting = task(dialog.grant())
        await again.expect(wire.Consent)
        await again.send(wire.Error("storage", "not stored", retry=True))
        await again.expect(wire.Consent)
        await again.store(1)
        await granting

    lines = [record.getMessage() for record in caplog.records if record.name == "consentful"]
    assert lines == [
        "dialog d-1: opened, 0 messages to replay",
        "dialog d-1: acked up to 1",
        "dialog d-1: will be closed in 3 s (draining)",
        "dialog d-1: closed with 1006, reconnecting in 0.12 s",
        "dialog d-1: opened, 1 messages to replay",
        "dialog d-1: acked up to 1",
        "dialog d-1: error storage, expected None",
        "dialog d-1: not stored, asking again in 0.12 s",
        "dialog d-1: stored, 1 messages",
    ]
    assert repr(dialog) == "Dialog(id='d-1', messages=1)"


async def test_a_decided_dialog_holds_no_words(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("secret words")
    granting = task(dialog.grant())
    await peer.hear(1)
    await peer.expect(wire.Consent)
    await peer.store(1)
    await granting

    assert "secret words" not in _everything_in(dialog)


@pytest.mark.parametrize("status", [401, 403, 404, 503])
async def test_no_error_leads_to_the_token(server: ScriptedServer, opens: Opens, status: int) -> None:
    server.refusals.append((status, {}))

    with pytest.raises(consentful.ConsentfulError) as caught:
        async with opens(token="token-secret", reconnect_for=0):
            pass

    chain: list[BaseException | None] = [caught.value]
    while (error := chain.pop()) is not None:
        assert not isinstance(error, aiohttp.ClientResponseError)  # which holds the request's headers
        assert "secret" not in repr(error)
        chain.append(error.__cause__ or error.__context__)


def _everything_in(thing: object) -> set[str]:
    """Every string that can be reached from an object of the SDK."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        one: Any = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, str):
            found.add(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        elif isinstance(one, list | tuple | set):
            waiting.extend(one)  # pyright: ignore[reportUnknownArgumentType]
        elif type(one).__module__.startswith("consentful"):
            fields = getattr(one, "__struct_fields__", ())
            waiting.extend(getattr(one, name) for name in fields)
            state: dict[str, Any] = getattr(one, "__dict__", {})
            waiting.extend(state.values())
    return found
