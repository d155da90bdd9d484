"""Streams as they arrive: piece by piece, and known to be whole only at their end."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from consentful.close_codes import Lost
from consentful.errors import Unauthorised
from consentful.filters import Asked
from consentful.http_client import Altered, HttpClient

from .scripted import FakeClock

MESSAGES = Asked("v1/messages", {"format": "ndjson"})


class Service:
    """Sends two chunks, the second when it is told to, and a manifest of its own making."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.breaks_off = False
        self.manifest: dict[str, Any] = {
            "complete": True,
            "sha256": hashlib.sha256(b"firstsecond").hexdigest(),
            "rows": 2,
        }

    async def messages(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == "Bearer old":
            return web.Response(status=401)
        response = web.StreamResponse(headers={"Export-Id": "e-1"})
        await response.prepare(request)
        await response.write(b"first")
        await self.go_on.wait()
        if self.breaks_off and request.transport is not None:
            request.transport.close()
            return response
        await response.write(b"second")
        return response

    async def show_manifest(self, _: web.Request) -> web.Response:
        return web.json_response(self.manifest)

    @asynccontextmanager
    async def reached(self, *tokens: str) -> AsyncGenerator[HttpClient]:
        app = web.Application()
        app.router.add_get("/v1/messages", self.messages)
        app.router.add_get("/v1/exports/e-1", self.show_manifest)
        async with TestServer(app) as server:
            yield client(str(server.make_url("/")), *tokens)


def client(url: str, *tokens: str) -> HttpClient:
    given = chain(tokens, repeat(tokens[-1] if tokens else ""))
    return HttpClient(
        url=URL(url),
        token=(lambda: next(given)) if tokens else None,
        ssl=True,
        retry_for=0,
        clock=FakeClock(),
        random=lambda: 0.5,
    )


@pytest.fixture
def service() -> Service:
    return Service()


async def read(client: HttpClient, service: Service) -> list[bytes]:
    service.go_on.set()
    async with client.stream(MESSAGES) as stream:
        return [chunk async for chunk in stream.chunks()]


async def test_a_chunk_is_handed_over_before_the_next_is_sent(service: Service) -> None:
    async with service.reached() as client, client.stream(MESSAGES) as stream:
        chunks = stream.chunks()

        assert await anext(chunks) == b"first"
        service.go_on.set()
        assert await anext(chunks) == b"second"
        assert stream.rows == 0, "nothing is known to be whole before its end"
        assert await anext(chunks, None) is None
        assert stream.rows == 2


async def test_a_stream_may_be_left_in_the_middle(service: Service) -> None:
    async with service.reached() as client:
        async with client.stream(MESSAGES) as stream:
            assert await anext(stream.chunks()) == b"first"

        assert b"".join(await read(client, service)) == b"firstsecond"


async def test_a_stream_that_breaks_off_is_lost_and_says_nothing_of_the_request(service: Service) -> None:
    service.breaks_off = True
    async with service.reached("secret") as client:
        with pytest.raises(Lost) as lost:
            await read(client, service)

    assert type(lost.value) is Lost
    assert lost.value.__context__ is None, "what aiohttp raised holds the request, and that the token"


async def test_a_stream_that_the_service_did_not_finish_is_lost(service: Service) -> None:
    service.manifest = {"complete": False, "sha256": None}
    async with service.reached() as client:
        with pytest.raises(Lost, match="cut short") as lost:
            await read(client, service)

    assert type(lost.value) is Lost


async def test_a_stream_that_was_altered_on_its_way_is_told_apart(service: Service) -> None:
    service.manifest["sha256"] = hashlib.sha256(b"first, second").hexdigest()
    async with service.reached() as client:
        with pytest.raises(Altered, match="differs from its manifest"):
            await read(client, service)


@pytest.mark.parametrize(("tokens", "is_good"), [(("old", "new"), True), (("old", "old", "new"), False)])
async def test_a_token_callback_gets_a_second_chance_and_no_third(
    service: Service, tokens: tuple[str, ...], *, is_good: bool
) -> None:
    async with service.reached(*tokens) as client:
        if is_good:
            assert b"".join(await read(client, service)) == b"firstsecond"
        else:
            with pytest.raises(Unauthorised):
                await read(client, service)


async def test_nobody_there_is_lost_and_says_nothing_of_the_request(unused_tcp_port: int) -> None:
    with pytest.raises(Lost, match="ClientConnectorError") as lost:
        async with client(f"http://127.0.0.1:{unused_tcp_port}", "secret").stream(MESSAGES):
            pass

    assert lost.value.__context__ is None
