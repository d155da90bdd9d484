"""The original contract: messages are pushed and held in memory, for a time, in one process."""

import pytest
from aiohttp import ClientSession

from consentful_server.dialogs.registry import DIALOG_BYTES
from consentful_server.testing import FakeClock, Served
from kept import get, texts

from .original import FORM, JSON, decide, post, push


class TestPushing:
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            ('{"text": "Grüezi & Co", "language": "DE"}', JSON),
            ('{"text": "Grüezi & Co", "language": "DE"}', "application/json; charset=utf-8"),
            ('{"text": "Grüezi & Co", "language": "DE"}', None),
            ('{"text": "Grüezi & Co", "language": "DE"}', "text/plain"),
            ('{"text": "Grüezi & Co", "language": "DE"}', FORM),
            (' {"language":"DE","text":"Gr\\u00fcezi \\u0026 Co"}\n', JSON),
            ("text=Gr%C3%BCezi+%26+Co&language=DE", FORM),
            ("language=DE&text=Gr%C3%BCezi%20%26%20Co", FORM),
            ("text=Grüezi+%26+Co&language=DE", FORM),
            ("text=Gr%C3%BCezi+%26+Co&language=DE", None),
        ],
    )
    async def test_every_spelling_of_a_message_is_taken(
        self, http: ClientSession, body: str, content_type: str | None
    ) -> None:
        status, answer = await post(http, "/data/c-1/d-1", body, content_type)

        assert (status, answer) == (201, {"dialogId": "d-1", "messages": 1})
        assert (await decide(http, True))[0] == 200
        (datum,) = await get(http, "/data")
        assert (datum["text"], datum["language"]) == ("Grüezi & Co", "DE")

    async def test_the_language_may_be_left_out(self, http: ClientSession) -> None:
        await push(http)
        await decide(http, True)

        (datum,) = await get(http, "/data")
        assert datum["language"] is None

    @pytest.mark.parametrize(
        ("body", "content_type", "named"),
        [
            ("", JSON, "body"),
            ("", FORM, "text"),
            ("[]", JSON, "body"),
            ('"text"', JSON, "body"),
            ("{", JSON, "body"),
            (b'{"text": "\xff"}', JSON, "body"),
            (b"text=\xff", FORM, "body"),
            ("text=%FF", FORM, "body"),
            ("text", FORM, "body"),
            ("text=a&text=b", FORM, "body"),
            ("&".join(f"f{number}=1" for number in range(11)), FORM, "body"),
            ("{}", JSON, "text"),
            ('{"text": ""}', JSON, "text"),
            ('{"text": 5}', JSON, "text"),
            ('{"text": null}', JSON, "text"),
            ("text=", FORM, "text"),
            ("language=EN", FORM, "text"),
            ('{"text": "Hi", "language": ""}', JSON, "language"),
            ('{"text": "Hi", "language": "' + "x" * 36 + '"}', JSON, "language"),
            ('{"text": "Hi", "language": 7}', JSON, "language"),
            ('{"text": "Hi", "mood": "good"}', JSON, "mood"),
            ("text=Hi&mood=good", FORM, "mood"),
        ],
    )
    async def test_a_malformed_message_is_named_and_leaves_nothing(
        self, http: ClientSession, service: Served, body: str | bytes, content_type: str, named: str
    ) -> None:
        status, problem = await post(http, "/data/c-1/d-1", body, content_type)

        assert (status, problem["code"], problem["parameter"]) == (400, "bad_request", named)
        assert service.service.registry.bytes_used == 0
        assert (await decide(http, True))[0] == 409

    @pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "text/xml", "image/png"])
    async def test_another_media_type_is_415(self, http: ClientSession, content_type: str) -> None:
        for path in ("/data/c-1/d-1", "/consents/d-1"):
            status, problem = await post(http, path, b"true", content_type)
            assert (status, problem["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/data/c-1/a%20b", "dialogId"),
            ("/data/c-1/" + "d" * 201, "dialogId"),
            ("/data/c-1/%C3%A4", "dialogId"),
            ("/data/" + "c" * 201 + "/d-1", "customerId"),
        ],
    )
    async def test_a_malformed_id_is_named(self, http: ClientSession, path: str, named: str) -> None:
        status, problem = await post(http, path, '{"text": "Hi"}')

        assert (status, problem["parameter"]) == (400, named)

    async def test_a_customer_id_may_be_any_text(self, http: ClientSession) -> None:
        await push(http, path="/data/a%2Fb%20%C3%A4%3F/d-1")
        await decide(http, True)

        (datum,) = await get(http, "/data", customerId="a/b ä?")
        assert datum["customerId"] == "a/b ä?"

    @pytest.mark.parametrize("settings", [{"max_text_bytes": 8, "max_messages": 2}])
    async def test_limits_are_those_of_a_live_dialog(self, http: ClientSession) -> None:
        status, problem = await post(http, "/data/c-1/d-1", '{"text": "123456789"}')
        assert (status, problem["code"]) == (413, "limit")
        await push(http, "1")
        await push(http, "2")
        assert (await post(http, "/data/c-1/d-1", '{"text": "3"}'))[0] == 413

        assert (await decide(http, False))[1]["messages"] == 2

    @pytest.mark.parametrize("settings", [{"max_dialog_bytes": 1024, "memory": DIALOG_BYTES, "max_text_bytes": 1024}])
    async def test_a_full_server_is_503_and_holds_nothing_in_part(self, http: ClientSession, service: Served) -> None:
        async with http.post("/data/c-1/d-1", json={"text": "Hi"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")

        assert service.service.registry.bytes_used == 0
        assert len(service.service.registry) == 0


class TestTime:
    async def test_an_idle_dialog_is_forgotten(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await push(http)
        clock.advance(899)
        service.service.registry.tick(clock.monotonic())
        await push(http, "still here")
        clock.advance(899)
        service.service.registry.tick(clock.monotonic())
        assert len(service.service.registry) == 1

        clock.advance(1)
        service.service.registry.tick(clock.monotonic())

        assert len(service.service.registry) == 0
        assert service.service.registry.bytes_used == 0
        assert (await decide(http, True))[0] == 409

    @pytest.mark.parametrize("settings", [{"max_duration": 100}])
    async def test_a_dialog_that_lasts_too_long_is_forgotten(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await push(http)
        clock.advance(99)
        await push(http, "still here")

        clock.advance(1)
        service.service.registry.tick(clock.monotonic())

        assert (await decide(http, True))[0] == 409
        assert await texts(http) == []


class TestSeveralWorkers:
    @pytest.fixture
    def settings(self, unused_tcp_port: int) -> dict[str, int]:
        return {"workers": 2, "port": unused_tcp_port}

    async def test_what_must_wait_in_one_process_is_refused(self, http: ClientSession) -> None:
        for path in ("/data/c-1/d-1", "/consents/d-1"):
            status, problem = await post(http, path, '{"text": "Hi"}')
            assert (status, problem["code"]) == (501, "unsupported")
        assert await get(http, "/data") == []
