"""Paths: an id is what its octets say, whatever is in it; a final slash changes nothing."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from yarl import URL

from all_routes import filled
from consentful_server.app import ROUTES
from consentful_server.testing import Served
from kept import get, keep

NAMES = [
    "{braces}",
    "a|b",
    "100%",
    "%FF",
    "%25",
    "a/b",
    "a+b c",
    "äöü ß",
    "日本語",
    "😀",
    "e\u0301",
    "\x00\n\x7f",
    "..",
    "<a>\"^`\\'",
    "?#&=;:@!$,*()[]~",
    "x" * 200,
]


async def send(http: ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send the path as it is written."""
    url = URL(str(http._base_url).rstrip("/") + path, encoded=True)  # pyright: ignore[reportPrivateUsage]
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    async with http.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
        return response.status, await response.json() if response.content_type.endswith("json") else response.headers


@pytest.mark.parametrize("customer_id", NAMES)
async def test_a_customer_id_is_any_text_that_a_url_can_carry(http: ClientSession, customer_id: str) -> None:
    status, answer = await send(http, "POST", f"/data/{quote(customer_id, safe='')}/d-1", {"text": "Hi"})
    assert (status, answer["messages"]) == (201, 1)
    assert (await send(http, "POST", "/consents/d-1", True))[0] == 200

    (datum,) = await get(http, "/data", customerId=customer_id)
    assert datum["customerId"] == customer_id


@pytest.mark.parametrize("raw", ["{braces}", "a|b", "a+b", "<a>", "a^b`c", "a;b,c:d@e!f$g&h'i(j)k*l=m"])
async def test_what_clients_leave_unencoded_is_taken_as_it_is(http: ClientSession, raw: str) -> None:
    assert (await send(http, "POST", f"/data/{raw}/d-1", {"text": "Hi"}))[0] == 201
    await send(http, "POST", "/consents/d-1", True)

    (datum,) = await get(http, "/data")
    assert datum["customerId"] == raw


async def test_two_names_of_one_customer_are_one_and_of_two_are_two(http: ClientSession) -> None:
    assert (await send(http, "POST", "/data/%41bc/d-1", {"text": "Hi"}))[0] == 201
    assert (await send(http, "POST", "/data/Abc/d-1", {"text": "Hi"}))[1] == {"dialogId": "d-1", "messages": 2}
    assert (await send(http, "POST", "/data/%2541bc/d-1", {"text": "Hi"}))[0] == 409


@pytest.mark.parametrize("raw", ["%FF", "a%C3", "%ED%A0%80", "%C0%AF", "100%", "%", "%zz", "%2", "a%4Xb"])
async def test_octets_that_are_no_utf8_are_refused_by_name(http: ClientSession, raw: str) -> None:
    for method, path, name in (
        ("POST", f"/data/{raw}/d-1", "customerId"),
        ("POST", f"/data/c-1/{raw}", "dialogId"),
        ("POST", f"/consents/{raw}", "dialogId"),
        ("GET", f"/v1/dialogs/{raw}", "dialog_id"),
        ("DELETE", f"/v1/dialogs/{raw}", "dialog_id"),
        ("GET", f"/data?customerId={raw}", "customerId"),
        ("GET", f"/v1/messages?limit=1&bot={raw}", "bot"),
    ):
        status, problem = await send(http, method, path, {"text": "Hi"} if method == "POST" else None)
        assert (status, problem["code"], problem["parameter"]) == (400, "bad_request", name), path
        assert "UTF-8" in problem["detail"]


@pytest.mark.parametrize("dialog_id", ["a b", "a/b", "ä", "{d}", "a|b", "..", "d" * 201, "a\n", "%"])
async def test_a_dialog_id_outside_its_alphabet_is_400_on_every_route(http: ClientSession, dialog_id: str) -> None:
    place = quote(dialog_id, safe="").replace("..", "%2E%2E")
    for method, path, name in (
        ("POST", f"/data/c-1/{place}", "dialogId"),
        ("POST", f"/consents/{place}", "dialogId"),
        ("GET", f"/v1/dialogs/{place}", "dialog_id"),
        ("DELETE", f"/v1/dialogs/{place}", "dialog_id"),
    ):
        status, problem = await send(http, method, path, True if method == "POST" else None)
        assert (status, problem["parameter"]) == (400, name), path


@pytest.mark.parametrize("encoded", ["d%2D1", "%64-1"])
async def test_a_dialog_id_may_be_encoded_more_than_it_must_be(
    http: ClientSession, service: Served, encoded: str
) -> None:
    await keep(service.service, "d-1")

    assert (await send(http, "GET", f"/v1/dialogs/{encoded}"))[1]["dialog_id"] == "d-1"
    assert (await send(http, "DELETE", f"/v1/dialogs/{encoded}"))[0] == 200


PLAIN = sorted({(route.method, route.path) for route in ROUTES if not route.path.endswith(("/", "{name}"))})


@pytest.mark.parametrize(("method", "path"), PLAIN)
async def test_a_final_slash_changes_nothing(http: ClientSession, method: str, path: str) -> None:
    place = filled(path, "d-1")
    without, _ = await send(http, method, place)
    status, headers = await send(http, method, place + "/")

    if status == 308:
        assert headers["Location"] == "../" + place.rpartition("/")[2]
    else:
        assert status == without


async def test_a_page_with_a_final_slash_leads_to_the_page_under_any_prefix(http: ClientSession) -> None:
    for page in ("/withdraw", "/docs", "/docs/live", "/explore"):
        async with http.get(page + "/?a=b") as response:
            assert (response.status, response.url.path, response.url.query_string) == (200, page, "a=b")


async def test_a_form_that_is_sent_with_a_final_slash_gets_its_page_with_its_styles(
    http: ClientSession, service: Served
) -> None:
    code = (await keep(service.service, "d-1")).withdrawal_code

    async with http.post("/withdraw/", data={"code": code}) as response:
        page, place = await response.text(), response.url
        assert "has been erased" in page
    styles = re.findall(r'rel="stylesheet" href="([^"]+)"', page)
    assert styles
    for path in styles:
        async with http.get(place.join(URL(path))) as response:
            assert response.content_type == "text/css"


async def test_a_dialog_may_be_pushed_and_decided_with_final_slashes(http: ClientSession) -> None:
    assert (await send(http, "POST", "/data/c-1/d-1/", {"text": "Hi"}))[0] == 201
    assert (await send(http, "POST", "/consents/d-1/", True))[0] == 200
    assert [datum["text"] for datum in await get(http, "/data/")] == ["Hi"]


async def test_metrics_name_the_route_alone(http: ClientSession) -> None:
    await send(http, "POST", "/consents/d-1/", True)

    async with http.get("/metrics") as response:
        text = await response.text()
    assert 'route="/consents/{dialogId}"' in text
    assert 'route="/consents/{dialogId}/"' not in text
