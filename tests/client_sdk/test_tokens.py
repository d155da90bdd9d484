"""How the SDK proves who it is."""

import pytest

import consentful

from .conftest import Opened, Opens
from .scripted import FakeClock, ScriptedServer


async def test_it_travels_in_the_header_only(server: ScriptedServer, opened: Opened) -> None:
    await opened(token="secret\n")

    request = server.requests[0]
    assert request.headers["Authorization"] == "Bearer secret"
    assert "secret" not in str(request.url)
    assert "secret" not in request.headers["Sec-WebSocket-Protocol"]


async def test_none_is_sent_if_none_is_given(server: ScriptedServer, opened: Opened) -> None:
    await opened()

    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_callback_is_called_anew_for_each_connection(
    server: ScriptedServer, opened: Opened, is_async: bool
) -> None:
    tokens = iter(["one", "two"])

    def blocking() -> str:
        return next(tokens)

    async def waiting() -> str:
        return next(tokens)

    _, peer = await opened(token=waiting if is_async else blocking)
    await peer.close(4003)
    await server.accept_open()

    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


async def test_a_callback_gets_one_more_chance_after_a_401(server: ScriptedServer, opened: Opened) -> None:
    tokens = iter(["stale", "fresh"])
    server.refusals.append((401, {}))

    await opened(token=lambda: next(tokens))

    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer stale", "Bearer fresh"]


async def test_and_not_two(server: ScriptedServer, opens: Opens) -> None:
    server.refusals.extend([(401, {}), (401, {})])

    with pytest.raises(consentful.Unauthorised):
        async with opens(token=lambda: "stale"):
            pass

    assert len(server.requests) == 2


async def test_a_callback_that_raises_unauthorised_ends_it(server: ScriptedServer, opens: Opens) -> None:
    def revoked() -> str:
        raise consentful.Unauthorised("log in again")

    with pytest.raises(consentful.Unauthorised, match="log in again"):
        async with opens(token=revoked):
            pass

    assert not server.requests


async def test_a_callback_that_fails_is_tried_again(opened: Opened, clock: FakeClock) -> None:
    answers = iter([OSError("secret"), ValueError("secret"), "good"])

    def flaky() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await opened(token=flaky)

    assert len(clock.slept) == 2


async def test_a_callback_that_fails_for_ever_is_unavailable(opens: Opens) -> None:
    def broken() -> str:
        raise OSError("secret")

    with pytest.raises(consentful.Unavailable) as caught:
        async with opens(token=broken):
            pass
    assert "secret" not in str(caught.value)


async def test_a_callback_that_has_no_more_tokens_is_a_failed_one(opens: Opens) -> None:
    tokens = iter(())

    with pytest.raises(consentful.Unavailable, match="the token callback failed"):
        async with opens(token=lambda: next(tokens), reconnect_for=1.0):
            pass
