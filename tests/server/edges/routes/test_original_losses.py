"""The original HTTP contract never stores a part of a dialog: what lost something is not granted, and says what."""

import json
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Open
from consentful_server.dialogs.registry import DIALOG_BYTES
from consentful_server.testing import FakeClock, Served
from kept import bearer, texts
from live import Live

Said = tuple[int, dict[str, Any]]
DAY = 86_400


async def push(http: ClientSession, text: str = "Hi", **fields: Any) -> Said:
    async with http.post("/data/c-1/d-1", json={"text": text} | fields) as response:
        return response.status, await response.json()


async def push_raw(http: ClientSession, body: bytes, content_type: str = "application/json") -> Said:
    async with http.post("/data/c-1/d-1", data=body, headers={"Content-Type": content_type}) as response:
        return response.status, await response.json()


async def decide(http: ClientSession, decision: bool | dict[str, Any], token: str | None = None) -> Said:
    async with http.post("/consents/d-1", data=json.dumps(decision), headers=bearer(token)) as response:
        return response.status, await response.json()


def code(said: Said) -> tuple[int, str]:
    return said[0], said[1]["code"]


class TestADialogThatWasDropped:
    @pytest.mark.parametrize("seconds", [900, DAY])
    async def test_is_not_granted_after_its_time_is_over_however_it_goes_on(
        self, http: ClientSession, service: Served, clock: FakeClock, seconds: int
    ) -> None:
        await push(http, "no, never keep that I")
        clock.advance(seconds)
        service.service.registry.tick(clock.monotonic())

        assert code(await push(http, "said yes")) == (409, "lost")
        status, problem = await decide(http, True)

        assert (status, problem["code"]) == (409, "lost")
        assert "idle" in problem["detail"] or "duration" in problem["detail"]
        assert await texts(http) == []
        assert len(service.service.registry) == 0

    async def test_is_not_granted_after_memory_ran_out(self, http: ClientSession, service: Served) -> None:
        registry = service.service.registry
        await push(http, "one")
        rest = (
            service.service.settings.memory - registry.bytes_used - 400
        )  # enough for the body, and not for the message
        registry.take(rest)
        assert (await push(http, "x" * 200))[0] == 503
        registry.give_back(rest)

        assert code(await push(http, "three")) == (409, "lost")
        assert code(await decide(http, True)) == (409, "lost")
        assert await texts(http) == []

    async def test_is_not_granted_after_a_live_connection_took_its_id(self, http: ClientSession, live: Live) -> None:
        await push(http, "one")
        await live.send(Open("c-1", "d-1"))
        await live.next_frame()
        await live.decline()
        await live.closed()

        assert code(await push(http, "two")) == (409, "lost")
        assert code(await decide(http, True)) == (409, "lost")

    async def test_may_begin_anew_once_the_chatbot_has_ended_it(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await push(http, "one")
        clock.advance(900)
        service.service.registry.tick(clock.monotonic())

        ended = {"dialogId": "d-1", "consent": False, "messages": 0}
        assert await decide(http, False) == (200, ended)
        assert await decide(http, False) == (200, ended)
        await push(http, "anew")

        assert (await decide(http, True))[0] == 200
        assert await texts(http) == ["anew"]

    async def test_is_remembered_for_as_long_as_a_dialog_may_last(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await push(http, "one")
        clock.advance(900)
        service.service.registry.tick(clock.monotonic())

        clock.advance(DAY - 1)
        assert code(await decide(http, True)) == (409, "lost")
        clock.advance(1)
        assert code(await decide(http, True)) == (404, "not_found")

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_is_lost_for_the_credential_that_pushed_it_alone(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        mine, theirs = await service.create_key(name="mine"), await service.create_key(name="theirs")
        await http.post("/data/c-1/d-1", json={"text": "Hi"}, headers=bearer(mine))
        clock.advance(900)
        service.service.registry.tick(clock.monotonic())

        assert code(await decide(http, True, theirs)) == (404, "not_found")
        assert code(await decide(http, False, theirs)) == (404, "not_found")
        assert code(await decide(http, True, mine)) == (409, "lost")


class TestAMessageThatWasRefused:
    @pytest.mark.parametrize("settings", [{"max_text_bytes": 8}])
    @pytest.mark.parametrize(
        ("body", "content_type", "status", "why"),
        [
            (b'{"text": "123456789"}', "application/json", 413, "limit"),
            (b'{"text": "b", "mood": "good"}', "application/json", 400, "bad_request"),
            (b'{"text": ""}', "application/json", 400, "bad_request"),
            (b"{", "application/json", 400, "bad_request"),
            (b"text=%FF", "application/x-www-form-urlencoded", 400, "bad_request"),
            (b"<text>b</text>", "text/xml", 415, "unsupported_media_type"),
            (b'{"text": "' + b"x" * 600_000 + b'"}', "application/json", 413, "too_large"),
        ],
    )
    @pytest.mark.parametrize("place", [0, 1])
    async def test_is_missing_from_the_dialog_so_that_it_is_not_granted(
        self, http: ClientSession, body: bytes, content_type: str, status: int, why: str, place: int
    ) -> None:
        for number in range(3):
            said = await push_raw(http, body, content_type) if number == place else await push(http, str(number))
            assert said[0] == (status if number == place else 201)

        refused, problem = await decide(http, True)

        assert (refused, problem["code"]) == (409, "lost")
        assert f"({why})" in problem["detail"]
        assert await texts(http) == []
        assert (await decide(http, False))[1]["messages"] == 2

    @pytest.mark.parametrize("settings", [{"max_dialog_bytes": 1024, "max_text_bytes": 1024, "memory": DIALOG_BYTES}])
    async def test_for_lack_of_memory_is_missing_until_it_is_pushed_again(
        self, http: ClientSession, service: Served
    ) -> None:
        assert (await push(http, "first"))[0] == 503
        service.service.registry.give_back(DIALOG_BYTES)
        assert (await push(http, "second"))[0] == 201
        assert code(await decide(http, True)) == (409, "lost")

        assert (await push(http, "first"))[0] == 201

        assert (await decide(http, True))[1]["messages"] == 2

    @pytest.mark.parametrize("settings", [{"frames_per_second": 0.1}])
    async def test_for_its_rate_is_not_missing_once_it_was_pushed_again(
        self, http: ClientSession, clock: FakeClock
    ) -> None:
        await push(http, "one")
        status, problem = await push(http, "two")
        assert (status, problem["code"]) == (429, "too_often")
        assert code(await decide(http, True)) == (409, "lost")

        clock.advance(60)
        assert (await push(http, "two"))[0] == 201

        assert (await decide(http, True))[1]["messages"] == 2
        assert await texts(http) == ["two", "one"]

    @pytest.mark.parametrize("settings", [{"max_text_bytes": 8}])
    async def test_may_be_replaced_if_the_chatbot_says_how_many_messages_there_are(self, http: ClientSession) -> None:
        await push(http, "one")
        await push(http, "too long a message")
        await push(http, "shorter")
        assert code(await decide(http, True)) == (409, "lost")

        assert (await decide(http, {"consent": True, "messages": 2}))[0] == 200

        assert await texts(http) == ["shorter", "one"]

    async def test_by_another_customers_dialog_changes_nothing(self, http: ClientSession) -> None:
        await push(http, "one")
        assert (await http.post("/data/c-2/d-1", json={"text": ""})).status == 400
        assert (await http.post("/data/c-2/d-1", json={"text": "mine?"})).status == 409

        assert (await decide(http, True))[0] == 200

    async def test_by_a_stored_dialog_changes_no_answer(self, http: ClientSession) -> None:
        await push(http, "one")
        first = await decide(http, True)

        assert code(await push(http, "two")) == (409, "conflict")
        assert (await push(http, ""))[0] == 400

        assert await decide(http, True) == first


class TestTheNumberOfMessages:
    @pytest.mark.parametrize("messages", [0, 1, 3])
    async def test_that_is_not_held_stores_nothing_and_is_told(self, http: ClientSession, messages: int) -> None:
        await push(http, "one")
        await push(http, "two")

        status, problem = await decide(http, {"consent": True, "messages": messages})

        assert (status, problem["code"]) == (409, "incomplete")
        assert "holds 2 messages" in problem["detail"]
        assert await texts(http) == []
        assert (await decide(http, {"consent": True, "messages": 2}))[0] == 200

    async def test_catches_a_restart_between_two_messages(self, http: ClientSession) -> None:
        await push(http, "only this reached the process that runs now")

        assert code(await decide(http, {"consent": True, "messages": 2})) == (409, "incomplete")

    async def test_is_compared_with_what_is_stored_when_the_decision_is_repeated(self, http: ClientSession) -> None:
        await push(http, "one")
        first = await decide(http, {"consent": True, "messages": 1})

        assert await decide(http, {"consent": True, "messages": 1}) == first
        assert code(await decide(http, {"consent": True, "messages": 2})) == (409, "incomplete")

    async def test_never_refuses_a_no(self, http: ClientSession) -> None:
        await push(http, "one")

        assert (await decide(http, {"consent": False, "messages": 7}))[0] == 200

    @pytest.mark.parametrize("messages", [-1, 1.5, "1", True, [1], 2**31])
    async def test_that_is_none_is_named(self, http: ClientSession, messages: Any) -> None:
        await push(http, "one")

        status, problem = await decide(http, {"consent": True, "messages": messages})

        assert (status, problem["parameter"]) == (400, "messages")

    async def test_is_taken_from_a_form(self, http: ClientSession) -> None:
        await push(http, "one")
        form = {"Content-Type": "application/x-www-form-urlencoded"}

        async with http.post("/consents/d-1", data=b"consent=true&messages=2", headers=form) as response:
            assert (response.status, (await response.json())["code"]) == (409, "incomplete")
        async with http.post("/consents/d-1", data=b"consent=true&messages=1", headers=form) as response:
            assert response.status == 200
