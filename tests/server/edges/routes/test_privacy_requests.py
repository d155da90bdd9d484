"""The list of privacy requests over REST: filters, orders, pages, and who may see which."""

from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import OPERATOR
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep

PATH = "/v1/privacy-requests"


async def ask(http: ClientSession, kind: str, customer_id: str = "c-1", token: str | None = None) -> str:
    body = {"kind": kind, "customer_id": customer_id}
    async with http.post(PATH, json=body, headers=bearer(token)) as response:
        assert response.status == 201
        answer = await response.json()
    return answer["id"] if kind == "erasure" else answer["request"]["id"]


async def ids(http: ClientSession, **params: Any) -> list[str]:
    return [item["id"] for item in (await get(http, PATH, **params))["items"]]


async def test_an_empty_store_has_an_empty_list(http: ClientSession) -> None:
    assert await get(http, PATH) == {"items": [], "next": None}


async def test_a_request_is_listed_with_its_outcome_and_without_its_report_or_customer(
    http: ClientSession, service: Served
) -> None:
    await keep(service.service, "d-1", customer_id="contraband-4711")
    name = await ask(http, "erasure", "contraband-4711")

    (item,) = (await get(http, PATH))["items"]

    whole = await get(http, f"{PATH}/{name}")
    assert item == {field: value for field, value in whole.items() if field != "report"}
    assert (item["status"], item["dialogs"], item["requested_by"]) == ("unreadable", 1, "local")
    assert "contraband" not in str(item)


async def test_filters_and_orders(http: ClientSession, clock: FakeClock) -> None:
    access = await ask(http, "access")
    clock.advance(60)
    between = clock.now().isoformat()
    erasure = await ask(http, "erasure")

    assert await ids(http) == [erasure, access]
    assert await ids(http, order="due") == [access, erasure]
    assert await ids(http, kind="access") == [access]
    assert await ids(http, status="unreadable") == [erasure]
    assert await ids(http, status="pending") == []
    late = (await get(http, f"{PATH}/{erasure}"))["due_at"]
    assert await ids(http, due_before=late) == [access]
    assert await ids(http, due_before=between) == []


@pytest.mark.parametrize("order", ["newest", "due"])
async def test_following_the_links_shows_every_request_once(http: ClientSession, order: str) -> None:
    made = [await ask(http, "access") for _ in range(5)]

    found: list[str] = []
    url: Any = f"{PATH}?limit=2&order={order}"
    while url:
        async with http.get(url) as response:
            page = await response.json()
            url = response.links["next"]["url"] if "next" in response.links else None
        assert (page["next"] is None) == (url is None)
        found += [item["id"] for item in page["items"]]

    assert found == (made if order == "due" else made[::-1])


@pytest.mark.parametrize("params", [{"status": "done"}, {"kind": "x"}, {"due_before": "2026-01-01"}, {"q": "x"}])
async def test_an_unknown_filter_is_named(http: ClientSession, params: dict[str, str]) -> None:
    async with http.get(PATH, params=params) as response:
        problem = await response.json()

    assert (response.status, problem["code"]) == (400, "bad_request")
    assert next(iter(params)) in problem["detail"]


async def test_a_cursor_of_other_filters_is_refused(http: ClientSession) -> None:
    for _ in range(2):
        await ask(http, "access")
    cursor = (await get(http, PATH, limit=1))["next"]

    async with http.get(PATH, params={"cursor": cursor, "order": "due"}) as response:
        assert response.status == 400
    assert len(await ids(http, cursor=cursor)) == 1


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
async def test_a_key_for_some_purposes_lists_requests_for_those_alone(http: ClientSession, service: Served) -> None:
    create = service.service.api_keys.create
    whole = await create("officer", ["privacy"], None, None, by=OPERATOR)
    bound = await create("research", ["privacy"], ["research"], None, by=OPERATOR)
    other = await create("reader", ["data:read"], None, None, by=OPERATOR)
    all_purposes, of_research = await ask(http, "access", token=whole), await ask(http, "access", token=bound)

    assert await ids(http, token=bound) == [of_research]
    assert await ids(http, token=whole) == [of_research, all_purposes]
    async with http.get(PATH, headers=bearer(other)) as response:
        assert response.status == 403


async def test_the_list_is_in_the_access_log(http: ClientSession) -> None:
    await ask(http, "access")

    await get(http, PATH)

    newest = (await get(http, "/v1/access-log"))["items"][0]
    assert (newest["action"], newest["rows"], newest["subject"]) == ("request.read", 1, None)
