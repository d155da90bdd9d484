"""Lists over REST in every format."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from consentful_server.archive.query import Position
from consentful_server.errors import Damaged
from consentful_server.reading.streams import Stream
from consentful_server.testing import FakeClock, Served
from kept import get, keep, texts

from .lists import MARKER, ORDERS, keep_many


class TestFormats:
    @pytest.mark.parametrize(
        ("accept", "given"),
        [
            (None, "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            ("application/json", "application/json"),
            ("Application/JSON; charset=utf-8", "application/json"),
            ("application/x-ndjson", "application/x-ndjson"),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "application/json"),
            ("application/x-ndjson;q=0.5, application/json", "application/json"),
            ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
            ("application/x-ndjson;q=0, */*;q=0.1", "application/json"),
        ],
    )
    async def test_the_answer_is_what_was_asked_for(self, http: ClientSession, accept: str | None, given: str) -> None:
        headers = {} if accept is None else {"Accept": accept}
        async with http.get("/v1/messages", headers=headers) as response:
            assert (response.status, response.content_type) == (200, given)

    @pytest.mark.parametrize("accept", ["image/*", "application/xml", "application/json;q=0"])
    async def test_what_is_not_offered_is_406_and_names_what_is(self, http: ClientSession, accept: str) -> None:
        async with http.get("/v1/messages", headers={"Accept": accept}) as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (406, "not_acceptable")
            assert "application/x-ndjson" in problem["detail"]

    async def test_the_url_comes_before_the_header(self, http: ClientSession) -> None:
        headers = {"Accept": "application/json"}
        async with http.get("/v1/messages?format=ndjson", headers=headers) as response:
            assert response.content_type == "application/x-ndjson"

    @pytest.mark.parametrize("order", ORDERS)
    async def test_ndjson_streams_the_whole_result_whatever_the_limit(
        self, http: ClientSession, service: Served, order: str
    ) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", [f"{number} {seq}" for seq in range(1000)])

        async with http.get(
            "/v1/messages", params={"order": order, "limit": "1"}, headers={"Accept": "application/x-ndjson"}
        ) as response:
            lines = (await response.read()).splitlines()

        assert len(lines) == 3000
        pages: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        for _ in range(3):
            page = await get(http, "/v1/messages", order=order, limit=1000, **cursor)
            pages += page["items"]
            cursor = {"cursor": page["next"]}
        assert [json.loads(line) for line in lines] == pages

    async def test_an_empty_stream_is_empty(self, http: ClientSession) -> None:
        async with http.get("/v1/messages?format=ndjson") as response:
            assert (response.status, await response.read()) == (200, b"")

    async def test_a_stream_has_no_pages(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep_many(service, clock, 2)
        cursor = (await get(http, "/v1/messages", limit=1))["next"]

        async with http.get("/v1/messages", params={"format": "ndjson", "cursor": cursor}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "cursor")

    @pytest.mark.parametrize("error", [RuntimeError(MARKER), Damaged("d-1")])
    async def test_a_stream_that_fails_breaks_off_and_cannot_be_taken_for_whole(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        await keep(service.service, "d-1")
        run = service.service.streams.run

        async def failing(stream: Stream, after: Position | None, **how: Any) -> AsyncIterator[bytes]:
            async for block in run(stream, after, **how):
                yield block
                raise error

        monkeypatch.setattr(service.service.streams, "run", failing)

        async with http.get("/v1/messages?format=ndjson") as response:
            with pytest.raises(ClientPayloadError):
                await response.read()

    async def test_a_stream_whose_reader_leaves_ends(self, http: ClientSession, service: Served) -> None:
        for number in range(40):
            await keep(service.service, f"d-{number}", ["x" * 30_000] * 30)
        response = await http.get("/v1/messages?format=ndjson")
        await response.content.readany()
        response.close()

        await get(http, "/healthz")
        assert await texts(http, limit=1) == ["x" * 30_000]
