"""Filters: in a URL, in a body, all of them together, and whatever anybody may send instead."""

import asyncio
import itertools
import json
from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from consentful.wire import Message
from consentful_server.testing import FakeClock, Served, serve
from kept import get, keep, messages, texts

SEARCH = "/v1/messages/search"


async def search(http: ClientSession, **body: Any) -> dict[str, Any]:
    async with http.post(SEARCH, json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def found(http: ClientSession, **body: Any) -> list[str]:
    return [item["text"] for item in (await search(http, **body))["items"]]


async def keep_a_mixture(served: Served, clock: FakeClock) -> None:
    """Store three dialogs that differ in everything that can be filtered by, a minute apart."""
    service = served.service
    await keep(
        service,
        "d-1",
        [Message(1, "Hello World"), Message(2, "Guten Tag", "bot", "de")],
        language="EN",
        bot="shop",
        purposes=["improve"],
    )
    clock.advance(60)
    await keep(service, "d-2", ["Grüezi, Welt"], customer_id="c-2", language="de-ch", bot="bank", purposes=["research"])
    clock.advance(60)
    await keep(service, "d-3", [Message(1, "Olá, WORLD", "agent")], language="pt-BR")


def in_range(tag: str | None, wanted: str) -> bool:
    return tag is not None and (tag.lower() + "-").startswith(wanted.lower() + "-")


START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
PURPOSES = {"d-1": {"improve"}, "d-2": {"research"}, "d-3": {"improve", "research"}}

Fits = Callable[[Mapping[str, Any], Any], bool]
FITS: dict[str, tuple[Fits, list[Any]]] = {
    "language": (lambda item, value: in_range(item["language"], value), ["DE", "de-CH", "pt"]),
    "customer_id": (lambda item, value: item["customer_id"] == value, ["c-1", "nobody"]),
    "dialog_id": (lambda item, value: item["dialog_id"] == value, ["d-1"]),
    "role": (lambda item, value: item["role"] == value, ["bot", "customer"]),
    "bot": (lambda item, value: item["bot"] == value, ["shop"]),
    "purpose": (lambda item, value: value in PURPOSES[item["dialog_id"]], ["improve", "research"]),
    "since": (lambda item, value: item["received_at"] >= value, ["2026-01-01T00:01:00Z"]),
    "until": (lambda item, value: item["received_at"] < value, ["2026-01-01T00:02:00Z"]),
    "q": (lambda item, value: value.casefold() in item["text"].casefold(), ["wOrLd"]),
}


@pytest.mark.usefixtures("two_purposes")
class TestFilters:
    async def test_every_filter_alone_and_any_three_together_are_all_fulfilled(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_a_mixture(service, clock)
        everything = await messages(http)
        assert len(everything) == 4

        for names in itertools.chain(*(itertools.combinations(FITS, count) for count in (1, 2, 3))):
            for values in itertools.product(*(FITS[name][1] for name in names)):
                body = dict(zip(names, values, strict=True))
                expected = [item for item in everything if all(FITS[name][0](item, body[name]) for name in names)]

                assert (await search(http, **body))["items"] == expected, body

    async def test_a_filter_in_the_url_does_the_same_as_in_a_body(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_a_mixture(service, clock)
        pseudonym = service.service.archive.pseudonym("c-2")

        for name, (_, values) in FITS.items():
            if name not in ("q", "customer_id"):
                for value in values:
                    assert await texts(http, **{name: value}) == await found(http, **{name: value}) != []
        assert await texts(http, customer=pseudonym) == await found(http, customer=pseudonym) == ["Grüezi, Welt"]

    async def test_dialogs_take_the_same_filters(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep_a_mixture(service, clock)
        everything = await messages(http)

        for name, (fits, values) in FITS.items():
            if name not in ("q", "customer_id"):
                for value in values:
                    listed = (await get(http, "/v1/dialogs", **{name: value}))["items"]
                    expected = dict.fromkeys(item["dialog_id"] for item in everything if fits(item, value))
                    assert [item["dialog_id"] for item in listed] == list(expected), (name, value)

    async def test_a_language_range_takes_any_case_and_deprecated_tags(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_a_mixture(service, clock)
        await keep(service.service, "d-4", ["Shalom"], language="iw")

        assert await texts(http, language="PT-br") == ["Olá, WORLD"]
        assert await texts(http, language="he") == await texts(http, language="IW") == ["Shalom"]
        assert len(await texts(http, language="*")) == 5

    async def test_a_range_does_not_fit_a_longer_word(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["Filipino"], language="fil")

        assert await texts(http, language="fi") == []

    async def test_times_are_half_open_and_take_any_offset(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_a_mixture(service, clock)
        middle = "2026-01-01T02:01:00+02:00"

        assert await texts(http, since=middle, until="2026-01-01T00:01:00.000001Z") == ["Grüezi, Welt"]
        assert await texts(http, since=middle, until=middle) == []
        assert await texts(http, until=middle) == ["Guten Tag", "Hello World"]

    async def test_text_is_found_whatever_its_case_and_composition(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_a_mixture(service, clock)
        await keep(service.service, "d-4", ["Straße", "100% _sure_"])

        assert await found(http, q="GRU\u0308EZI") == ["Grüezi, Welt"]
        assert await found(http, q="STRASSE") == ["Straße"]
        assert await found(http, q="%") == ["100% _sure_"]
        assert await found(http, q="_sure_") == ["100% _sure_"]
        assert await found(http, q="a_re") == []

    async def test_a_search_by_text_walks_on_through_empty_pages(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("consentful_server.reading.pages._SCAN_BLOCK", 10)
        monkeypatch.setattr("consentful_server.reading.pages._SCAN_MOST", 20)
        for number in range(10):
            await keep(service.service, f"d-{number}", ["hay"] * 10)
        await keep(service.service, "last", ["hay"] * 7 + ["needle", "needle", "hay"])
        await keep(service.service, "d-11", ["needle"] + ["hay"] * 44)

        pages = [await search(http, q="needle", limit=1)]
        while pages[-1]["next"]:
            pages.append(await search(http, q="needle", limit=1, cursor=pages[-1]["next"]))

        assert [item["text"] for page in pages for item in page["items"]] == ["needle"] * 3
        assert len({(item["dialog_id"], item["seq"]) for page in pages for item in page["items"]}) == 3
        assert any(not page["items"] and page["next"] for page in pages)

    async def test_a_search_streams_as_well(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep_a_mixture(service, clock)

        async with http.post(SEARCH, json={"q": "world"}, headers={"Accept": "application/x-ndjson"}) as response:
            lines = [json.loads(line)["text"] for line in (await response.read()).splitlines()]

        assert lines == ["Olá, WORLD", "Hello World"]

    async def test_customer_and_customer_id_must_agree(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_a_mixture(service, clock)
        pseudonym = service.service.archive.pseudonym("c-2")

        assert await found(http, customer=pseudonym, customer_id="c-2") == ["Grüezi, Welt"]
        async with http.post(SEARCH, json={"customer": pseudonym, "customer_id": "c-1"}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "customer_id")


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "named"),
        [
            (b"", "body"),
            (b"[]", "body"),
            (b"null", "body"),
            (b"{", "body"),
            (b'{"q": "\xff"}', "body"),
            (b'{"q": "\\ud800"}', "body"),
            (b"[" * 50_000, "body"),
            (b'{"limit": 1e400}', "body"),
            (b'{"limit": "5"}', "limit"),
            (b'{"limit": 5.5}', "limit"),
            (b'{"limit": true}', "limit"),
            (b'{"limit": 0}', "limit"),
            (b'{"q": ""}', "q"),
            (b'{"q": 5}', "q"),
            (b'{"q": ["a"]}', "q"),
            (b'{"customer_id": ""}', "customer_id"),
            (b'{"since": 5}', "since"),
            (b'{"since": "2026-01-01T00:00:00"}', "since"),
            (b'{"order": 1}', "order"),
            (b'{"format": 1}', "format"),
            (b'{"offset": 1}', "offset"),
            (b'{"\\u0000\\n": 1}', "??"),
        ],
    )
    async def test_a_malformed_body_is_named(self, http: ClientSession, body: bytes, named: str) -> None:
        async with http.post(SEARCH, data=body, headers={"Content-Type": "application/json"}) as response:
            problem = await response.json()
            assert (response.status, problem["code"], problem["parameter"]) == (400, "bad_request", named)

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
    async def test_a_body_that_is_not_json_is_415(self, http: ClientSession, content_type: str) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        async with http.post(SEARCH, data=b"q=Hi", headers=headers, skip_auto_headers=["Content-Type"]) as response:
            assert (response.status, (await response.json())["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize("path", [SEARCH, "/v1/dialogs:search", "/v1/access-log/search", "/v1/customers/search"])
    async def test_a_parameter_in_the_url_of_a_search_is_refused_instead_of_ignored(
        self, http: ClientSession, path: str
    ) -> None:
        async with http.post(f"{path}?format=csv&customer_id=contraband", json={"customer_id": "c-1"}) as response:
            problem = await response.json()

        assert (response.status, problem["parameter"]) == (400, "format")
        assert "in the JSON body" in problem["detail"]
        assert "csv" not in problem["detail"]

    async def test_a_body_that_is_too_large_is_413(self, http: ClientSession) -> None:
        async with http.post(SEARCH, json={"q": "x" * 600_000}) as response:
            assert (response.status, (await response.json())["code"]) == (413, "too_large")


@pytest.fixture(scope="module")
def ask() -> Generator[Callable[[str, str, bytes], tuple[int, str]]]:
    """Send requests to one server, from tests that are not async: hypothesis runs many in one."""
    with asyncio.Runner() as runner:
        serving = serve()
        served = runner.run(serving.__aenter__())
        runner.run(keep(served.service, "d-1", ["Hi", "Hello"], language="en"))

        async def open_session() -> ClientSession:
            return ClientSession(served.url)

        session = runner.run(open_session())

        async def send(method: str, url: str, body: bytes) -> tuple[int, str]:
            headers = {"Content-Type": "application/json"} if method == "POST" else {}
            async with session.request(method, url, data=body or None, headers=headers) as response:
                return response.status, await response.text()

        yield lambda method, url, body: runner.run(send(method, url, body))
        runner.run(session.close())
        runner.run(serving.__aexit__(None, None, None))


NAMES = st.sampled_from([*FITS, "customer", "order", "limit", "cursor", "format", "offset", "customerId", "x"])
INSTANTS = st.datetimes().flatmap(
    lambda moment: st.sampled_from(["Z", "+00:00", "-23:59", "+23:59", "+24:00", ""]).map(
        lambda offset: moment.isoformat() + offset
    )
)
VALUES = (
    st.text(max_size=20)
    | INSTANTS
    | st.integers().map(str)
    | st.sampled_from(
        ["en", "*", "newest", "stored", "bot", "d-1", "x-", "i-klingon", "und", "a-b-c", "en-u-co-phonebk"]
    )
    | st.from_regex(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,3}", fullmatch=True)
)
PATHS = st.sampled_from(["/v1/messages", "/v1/dialogs", "/data", "/data/"])
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(path=PATHS, query=st.lists(st.tuples(NAMES, VALUES), max_size=3))
def test_whatever_the_parameters_are_the_server_does_not_fail(
    ask: Callable[[str, str, bytes], tuple[int, str]], path: str, query: list[tuple[str, str]]
) -> None:
    status, answer = ask("GET", f"{path}?{urlencode(query, errors='surrogatepass')}", b"")

    assert status in (200, 400, 406)
    assert status != 400 or json.loads(answer)["parameter"]


@FUZZ
@given(query=st.text(st.sampled_from("%&=+;#?abcf0189/.~:[]\\\"'{}<>|^`"), max_size=30))
def test_whatever_the_query_string_is_the_server_does_not_fail(
    ask: Callable[[str, str, bytes], tuple[int, str]], query: str
) -> None:
    status, _ = ask("GET", str(URL(f"/v1/messages?{query}", encoded=True)), b"")

    assert status in (200, 400, 406)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | INSTANTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@FUZZ
@given(body=st.dictionaries(NAMES, JSON | VALUES, max_size=3).map(json.dumps) | st.text(max_size=20))
def test_whatever_the_body_is_the_server_does_not_fail(
    ask: Callable[[str, str, bytes], tuple[int, str]], body: str
) -> None:
    status, answer = ask("POST", SEARCH, body.encode(errors="surrogatepass"))

    assert status in (200, 400, 406)
    assert status != 400 or json.loads(answer)["parameter"]
