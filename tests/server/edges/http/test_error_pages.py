"""A browser that goes where nothing can be shown gets a page; every other client gets the problem document."""

import re

import pytest
from aiohttp import ClientSession
from yarl import URL

from consentful_server.testing import serve

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "/docs lists all routes"),
        ("/v1/messages?limit=none", 400, "limit"),
        ("/v1/dialogs/d-1", 404, "not accessible"),
        ("/static/nothing.js", 404, "not accessible"),
    ],
)
async def test_a_browser_gets_a_page(http: ClientSession, path: str, status: int, told: str) -> None:
    async with http.get(path, headers=BROWSER) as response:
        page = await response.text()
        assert (response.status, response.content_type) == (status, "text/html")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Vary"] == "Accept"
        assert response.headers["Request-Id"] in page
    assert told in page
    assert "$" not in page

    for link in re.findall(r'(?:href|src)="([^"]+)"', page):
        async with http.get(response.url.join(URL(link))) as linked:
            assert linked.status == 200, link


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/*;q=0.1, */*", ""])
async def test_a_program_gets_the_problem(http: ClientSession, accept: str) -> None:
    async with http.get("/nowhere", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (404, PROBLEM)


async def test_what_the_address_says_is_not_repeated(http: ClientSession) -> None:
    async with http.get("/<script>alert(1)</script>?customer=alice", headers=BROWSER) as response:
        page = await response.text()
        assert response.status == 404
    assert "alert" not in page
    assert "alice" not in page


async def test_how_to_authenticate_and_which_methods_there_are_is_still_told() -> None:
    async with serve(auth="keys") as service, ClientSession(service.url) as http:
        async with http.get("/v1/messages", headers=BROWSER) as response:
            assert (response.status, response.content_type) == (401, "text/html")
            assert "Bearer" in response.headers["WWW-Authenticate"]
        async with http.post("/docs", headers=BROWSER) as response:
            assert (response.status, response.content_type) == (405, "text/html")
            assert "GET" in response.headers["Allow"]
