"""The link to the next page: the same query, however it was written, and where the page begins."""

import asyncio
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from aiohttp import ClientSession
from yarl import URL

from consentful_server.archive.views import Page
from consentful_server.edges.http import paging
from consentful_server.testing import Served
from kept import keep

QUERIES = [
    "limit=1",
    "limit=1&order=newest",
    "limit=1&language=%2A",
    "limit=1&bot=caf%C3%A9+noir",
    "limit=1&bot=a%26cursor%3Db",
    "limit=1&bot=%3E%3B+rel%3Dlast",
    "limit=1&since=2020-01-01T00:00:00Z",
    "%6Cimit=1",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("has_cursor", [False, True], ids=["first", "second"])
async def test_the_link_has_the_parameters_that_were_sent_and_one_cursor(
    http: ClientSession, service: Served, query: str, has_cursor: bool
) -> None:
    given = dict(parse_qsl(query))
    for number in range(3):
        await keep(service.service, f"d-{number}", bot=given.get("bot"), language="en")
    following = f"/v1/messages?{query}"
    if has_cursor:
        following += "&cursor=" + parse_qsl(urlsplit(await _next(http, following)).query)[-1][1]

    link = await _next(http, following)

    *kept, (name, cursor) = parse_qsl(urlsplit(link).query)
    assert (kept, name) == (list(given.items()), "cursor")
    async with http.get(URL(link, encoded=True)) as response:
        assert response.status == 200
        assert cursor not in await response.text()


async def _next(http: ClientSession, path: str) -> str:
    async with http.get(URL(path, encoded=True)) as response:
        link, _, relation = response.headers["Link"].rpartition("; ")
        assert (link[0], link[-1], relation) == ("<", ">", 'rel="next"')
        return link[1:-1]


@pytest.mark.parametrize("blocks", [[], [[]], [[1]], [[1, 2], [], [3]]])
def test_blocks_of_items_are_one_list_in_json(blocks: list[list[int]]) -> None:
    items = [raw for block in blocks for raw in paging.encoded(block)]

    page = msgspec.json.decode(msgspec.json.encode(paging.Paged(items, None)))

    assert page == {"items": [number for block in blocks for number in block], "next": None}


@pytest.mark.parametrize(("size", "turns"), [(200_000, 8), (200, 1)], ids=["large", "small"])
async def test_of_large_pages_one_is_answered_in_a_turn_of_the_loop(size: int, turns: int) -> None:
    page = Page([msgspec.Raw(b"x" * size)], None, False, ())
    lock, turn, answered = asyncio.Lock(), 0, list[int]()

    async def answer() -> None:
        await paging.wait_for_turn(page, lock)
        answered.append(turn)

    tasks = [asyncio.create_task(answer()) for _ in range(8)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        turn += 1

    assert len(set(answered)) == turns
