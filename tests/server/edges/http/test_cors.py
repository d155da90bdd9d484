"""Pages of other origins: those on the list may call every route and read its answers, others may not."""

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import make_mocked_request

from all_routes import every_request, every_route
from consentful_server.app import ROUTES
from consentful_server.edges.http.cors import EXPOSED, preflight, refuse_foreign, share
from consentful_server.errors import Forbidden
from consentful_server.settings import Settings
from consentful_server.testing import Served
from kept import bearer, get, keep

CHAT = "https://chat.example"
ELSEWHERE = [
    "https://evil.example",
    "http://chat.example",
    "https://chat.example.evil.example",
    "https://chat.example:444",
    "https://CHAT.example",
    "null",
    "http://[",
]
SETTINGS = Settings(auth="keys", allow_origin=(CHAT,))
PUBLIC = "/.well-known/jwks.json"
ALLOWED = pytest.mark.parametrize("settings", [{"auth": "keys", "allow_origin": (CHAT, "https://other.example")}])


def asks(origin: str, method: str) -> dict[str, str]:
    """Return what a browser asks with before it sends a token."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }


def request_of(origin: str | None, method: str = "GET", **headers: str) -> web.Request:
    """Return a request to `api.example` as a page of this origin, or a program, sends it."""
    given = {"Host": "API.example"} | headers | ({} if origin is None else {"Origin": origin})
    return make_mocked_request(method, "/v1/messages", headers=given)


class TestRules:
    @pytest.mark.parametrize("origin", [None, CHAT, "https://api.example", "http://API.example"])
    def test_programs_and_pages_of_this_server_and_of_allowed_origins_are_let_in(self, origin: str | None) -> None:
        refuse_foreign(request_of(origin), SETTINGS)

    @pytest.mark.parametrize("origin", [*ELSEWHERE, "https://api.example:8443", "api.example", ""])
    def test_no_other_page_is(self, origin: str) -> None:
        with pytest.raises(Forbidden, match="an allowed origin"):
            refuse_foreign(request_of(origin), SETTINGS)

    def test_what_is_no_preflight_is_none(self) -> None:
        asked = {"Access-Control-Request-Method": "GET"}

        assert preflight(request_of(ELSEWHERE[0], "OPTIONS"), SETTINGS) is None
        assert preflight(request_of(ELSEWHERE[0], "GET", **asked), SETTINGS) is None

    def test_a_preflight_of_elsewhere_is_refused_whatever_it_asks_for(self) -> None:
        asked = {"Access-Control-Request-Method": "GET"}

        with pytest.raises(Forbidden):
            preflight(request_of(ELSEWHERE[0], "OPTIONS", **asked), SETTINGS)

    @pytest.mark.parametrize(
        ("allowed", "origin", "vary", "shared", "varies"),
        [
            ([], CHAT, None, None, None),
            ([], CHAT, "Accept", None, "Accept"),
            ([CHAT], None, None, None, "Origin"),
            ([CHAT], ELSEWHERE[0], "Accept", None, "Accept, Origin"),
            ([CHAT], "https://api.example", None, None, "Origin"),
            ([CHAT], CHAT, None, CHAT, "Origin"),
            ([CHAT], CHAT, "Accept", CHAT, "Accept, Origin"),
        ],
    )
    def test_an_answer_is_shared_with_the_page_that_asked_and_no_cache_hands_it_on(
        self, allowed: list[str], origin: str | None, vary: str | None, shared: str | None, varies: str | None
    ) -> None:
        response = web.Response(headers={} if vary is None else {"Vary": vary})

        share(request_of(origin), response, allowed)

        assert response.headers.get("Access-Control-Allow-Origin") == shared
        assert ("Access-Control-Expose-Headers" in response.headers) == (shared is not None)
        assert response.headers.get("Vary") == varies

    def test_what_is_everybodys_stays_so(self) -> None:
        response = web.Response(headers={"Access-Control-Allow-Origin": "*"})

        share(request_of(CHAT), response, [CHAT])

        assert dict(response.headers) == {"Access-Control-Allow-Origin": "*"}

    def test_what_a_page_may_read_is_what_tells_it_something(self) -> None:
        assert sorted(EXPOSED) == [
            "Allow",
            "Content-Disposition",
            "Etag",
            "Export-Id",
            "Link",
            "Location",
            "Request-Id",
            "Retry-After",
            "WWW-Authenticate",
        ]


@ALLOWED
async def test_a_page_of_an_allowed_origin_may_read_every_answer(http: ClientSession, service: Served) -> None:
    token = await service.create_key()
    for method, path in every_request("d-1"):
        if path == PUBLIC:
            continue
        async with http.request(method, path, headers=bearer(token) | {"Origin": CHAT}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == CHAT
            assert response.headers["Access-Control-Expose-Headers"] == ", ".join(EXPOSED)
            assert "Access-Control-Allow-Credentials" not in response.headers
            assert "Origin" in response.headers["Vary"].split(", ")


@ALLOWED
async def test_it_is_told_before_it_sends_what_each_route_takes(http: ClientSession) -> None:
    for method, path in every_route("d-1"):
        async with http.options(path, headers=asks(CHAT, method)) as response:
            assert (response.status, await response.read()) == (204, b"")
            assert response.headers["Access-Control-Allow-Origin"] == CHAT
            assert method in response.headers["Access-Control-Allow-Methods"].split(", ")
            assert response.headers["Access-Control-Allow-Headers"] == (
                "Authorization, Content-Type, If-Match, If-None-Match"
            )
            assert response.headers["Access-Control-Max-Age"] == "600"
            assert "Access-Control-Allow-Credentials" not in response.headers
    async with http.options("/v1/messages", headers=asks(CHAT, "GET")) as response:
        assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    async with http.options("/nowhere", headers=asks(CHAT, "GET")) as response:
        assert response.status == 404


@ALLOWED
@pytest.mark.parametrize("origin", ELSEWHERE)
async def test_a_page_of_elsewhere_reads_nothing(http: ClientSession, service: Served, origin: str) -> None:
    token = await service.create_key()
    async with http.get("/v1/messages", headers=bearer(token) | {"Origin": origin}) as response:
        assert response.headers["Vary"] == "Origin"  # or a cache would hand on what another was told
        assert not any(name.startswith("Access-Control-") for name in response.headers)
    async with http.options("/v1/messages", headers=asks(origin, "GET")) as response:
        assert (response.status, (await response.json())["code"]) == (403, "forbidden")
        assert not any(name.startswith("Access-Control-") for name in response.headers)


async def test_where_no_origin_is_allowed_nothing_is_said_of_origins(http: ClientSession) -> None:
    async with http.get("/v1/messages", headers={"Origin": CHAT}) as response:
        assert "Vary" not in response.headers
        assert not any(name.startswith("Access-Control-") for name in response.headers)


@ALLOWED
async def test_a_stream_varies_by_what_it_varied_by_and_the_origin(http: ClientSession, service: Served) -> None:
    headers = bearer(await service.create_key()) | {"Origin": CHAT}
    async with http.get("/v1/messages?format=ndjson", headers=headers) as response:
        assert response.headers["Vary"] == "Accept, Accept-Encoding, Origin"


@ALLOWED
@pytest.mark.parametrize("origin", [CHAT, *ELSEWHERE])
async def test_the_public_keys_are_everybodys(http: ClientSession, origin: str) -> None:
    async with http.get(PUBLIC, headers={"Origin": origin}) as response:
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, "*")


def test_every_header_that_tells_something_can_be_read() -> None:
    told = {name for route in ROUTES for answer in route.answers for name in answer.headers}

    assert told
    assert told <= set(EXPOSED)


@pytest.mark.parametrize("settings", [{"auth": "none", "allow_origin": ("http://localhost:3000",)}])
async def test_without_authentication_an_allowed_page_may_change_something(
    http: ClientSession, service: Served
) -> None:
    await keep(service.service, "d-1")
    headers = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}

    async with http.delete("/v1/dialogs/d-1", headers=headers | {"Origin": "http://localhost:3001"}) as response:
        assert response.status == 403
    async with http.delete("/v1/dialogs/d-1", headers=headers) as response:
        assert response.status == 200

    assert (await get(http, "/v1/dialogs"))["items"] == []
