"""How much one page reads: by bytes and by time, whatever is stored. What is left out is on the next page."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.reading import pages
from consentful_server.stores.postgres import listing
from consentful_server.stores.sqlite import dialogs
from consentful_server.testing import FakeClock, Served, serve
from kept import get, keep
from postgres_server import database_of

_ROOM = 40_000
_TEXT = "x" * 10_000
_DIALOGS, _EACH = 7, 3


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgres"])
async def service(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncGenerator[Served]:
    """A server with seven dialogs of three texts each, of which one dialog fits into a page, and two do not."""
    for module in (dialogs, listing, pages):
        monkeypatch.setattr(module, "MAX_PAGE_BYTES", _ROOM)
    database = "" if request.param == "sqlite" else await database_of(tmp_path)
    async with serve(clock=clock, database=database) as served:
        for number in range(_DIALOGS):
            await keep(served.service, f"d-{number}", [f"{seq} {_TEXT}" for seq in range(_EACH)])
            clock.advance(1)
        yield served


@pytest.fixture
async def http(service: Served) -> AsyncGenerator[ClientSession]:
    async with ClientSession(service.url) as session:
        yield session


async def walk(http: ClientSession, path: str, **params: Any) -> list[list[dict[str, Any]]]:
    """Return the items of each page."""
    found: list[list[dict[str, Any]]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await get(http, path, **params, **cursor)
        found.append(page["items"])
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_a_page_of_long_texts_has_fewer_rows_and_the_next_goes_on(http: ClientSession) -> None:
    found = await walk(http, "/v1/messages", limit=1000)

    assert max(sum(len(item["text"]) for item in page) for page in found) <= 2 * _ROOM
    assert len(found) > 2
    seen = [(item["dialog_id"], item["seq"]) for page in found for item in page]
    assert seen == [(f"d-{number}", seq) for number in range(_DIALOGS)[::-1] for seq in range(_EACH, 0, -1)]


async def test_a_dialog_longer_than_a_page_is_read_once(service: Served, http: ClientSession) -> None:
    """Each page opens all texts of its dialogs: a page for each message would take a square of time."""
    await keep(service.service, "long", [f"{seq} {2 * _TEXT}" for seq in range(_EACH)])

    first, *others = await walk(http, "/v1/messages", limit=1000)

    assert [(item["dialog_id"], item["seq"]) for item in first] == [("long", seq) for seq in range(_EACH, 0, -1)]
    assert {item["dialog_id"] for page in others for item in page} == {f"d-{number}" for number in range(_DIALOGS)}


async def test_a_chat_longer_than_a_page_hides_none_behind_it(service: Served, http: ClientSession) -> None:
    await keep(service.service, "long", [f"{seq} {2 * _TEXT}" for seq in range(_EACH)])

    found = await walk(http, "/v1/messages", limit=1000, shape="chat")

    shown = [item["dialog_id"] for page in found for item in page]
    assert shown == ["long", *(f"d-{number}" for number in range(_DIALOGS)[::-1])]


async def test_a_page_of_chats_has_fewer_dialogs_and_the_next_goes_on(http: ClientSession) -> None:
    found = await walk(http, "/v1/messages", limit=1000, shape="chat")

    assert [[item["dialog_id"] for item in page] for page in found] == [[f"d-{n}"] for n in range(_DIALOGS)[::-1]]


async def test_a_list_of_dialogs_reads_no_texts_so_it_is_whole(http: ClientSession) -> None:
    (page,) = await walk(http, "/v1/dialogs", limit=1000)

    assert [item["dialog_id"] for item in page] == [f"d-{number}" for number in range(_DIALOGS)[::-1]]


async def test_a_stream_of_long_texts_has_all_of_them(http: ClientSession) -> None:
    for shape, rows in (("messages", _DIALOGS * _EACH), ("chat", _DIALOGS)):
        async with http.get("/v1/messages", params={"format": "ndjson", "shape": shape}) as response:
            assert len((await response.read()).splitlines()) == rows


async def test_the_original_list_has_as_many_rows_as_were_asked_for(http: ClientSession) -> None:
    rows = await get(http, "/data", limit=20, offset=1)

    assert len(rows) == 20


async def test_a_search_stops_after_a_second_and_the_next_page_goes_on(
    http: ClientSession, service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = service.service.store.dialogs.list_messages

    async def slow(*asked: Any) -> Any:
        clock.advance(2)
        return await read(*asked)

    monkeypatch.setattr(service.service.store.dialogs, "list_messages", slow)
    found: list[str] = []
    requests, cursor = 0, {}
    while cursor is not None:
        async with http.post("/v1/messages/search", json={"q": "0 x", **cursor}) as response:
            page = await response.json()
        found += [item["dialog_id"] for item in page["items"]]
        cursor = {"cursor": page["next"]} if page["next"] else None
        requests += 1

    assert found == [f"d-{number}" for number in range(_DIALOGS)[::-1]]
    assert requests == _DIALOGS  # one block each
