"""Lists over REST: pages, commit order, cursors and parameters."""

import asyncio
import base64
import string
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.testing import FakeClock, Served
from kept import get, keep, messages, texts

from .lists import LISTS, MARKER, ORDERS, keep_many


class TestPages:
    @pytest.mark.parametrize("path", LISTS)
    async def test_an_empty_store_gives_an_empty_page(self, http: ClientSession, path: str) -> None:
        assert await get(http, path) == {"items": [], "next": None}

    async def test_a_message_has_the_documented_fields(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", bot="shop", language="EN")

        (message,) = await messages(http)

        assert set(message) == {
            *("dialog_id", "seq", "customer", "customer_id", "role", "text", "language", "bot"),
            *("sent_at", "received_at", "stored_at"),
        }
        assert message["customer"] == service.service.archive.pseudonym("c-1")

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize("limit", [1, 3, 7, 1000])
    @pytest.mark.parametrize("order", ORDERS)
    async def test_pages_hold_everything_exactly_once_and_in_order(
        self, http: ClientSession, service: Served, clock: FakeClock, path: str, limit: int, order: str
    ) -> None:
        await keep_many(service, clock, 4)
        whole = (await get(http, path, limit=1000, order=order))["items"]

        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": None}
        while True:
            cursor = {"cursor": page["next"]} if page["next"] else {}
            page = await get(http, path, limit=limit, order=order, **cursor)
            assert len(page["items"]) <= limit
            found += page["items"]
            if not page.get("more", page["next"] is not None):
                break

        assert found == whole
        assert len(whole) == (8 if path == "/v1/messages" else 4)
        times = [item["received_at"] for item in whole]
        assert times == sorted(times, reverse=order == "newest")

    async def test_messages_of_one_moment_are_newest_first_by_their_number(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", ["1", "2", "3"])

        assert await texts(http) == ["3", "2", "1"]
        assert await texts(http, order="stored") == ["1", "2", "3"]

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize("order", ORDERS)
    async def test_following_the_link_header_walks_all_pages_and_ends(
        self, http: ClientSession, service: Served, clock: FakeClock, path: str, order: str
    ) -> None:
        await keep_many(service, clock, 5)
        filters = {"limit": "3", "order": order, "language": "*", "since": "2026-01-01T02:00:00+02:00"}
        whole = (await get(http, path, order=order))["items"]

        found: list[dict[str, Any]] = []
        pages = 0
        async with http.get(path, params=filters) as response:
            found += (await response.json())["items"]
            links = response.links
        while "next" in links:
            pages += 1
            assert pages < 10
            async with http.get(links["next"]["url"]) as response:
                assert response.status == 200
                found += (await response.json())["items"]
                links = response.links

        assert found == whole

    async def test_a_walk_does_not_see_what_was_stored_after_it_began(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        said = await keep_many(service, clock, 2)
        first = await get(http, "/v1/messages", limit=3)
        clock.advance(1)
        await keep(service.service, "late", ["late"])

        second = await get(http, "/v1/messages", limit=3, cursor=first["next"])

        assert [item["text"] for item in first["items"] + second["items"]] == said[::-1]

    async def test_a_walk_passes_over_what_was_erased_meanwhile(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_many(service, clock, 3)
        first = await get(http, "/v1/messages", limit=2)
        await service.service.archive.erase("d-1", "requested")

        second = await get(http, "/v1/messages", limit=2, cursor=first["next"])

        assert [item["dialog_id"] for item in second["items"]] == ["d-0", "d-0"]
        assert second["next"] is None


class TestStoredOrder:
    @pytest.mark.parametrize("path", LISTS)
    async def test_a_kept_cursor_continues_where_the_last_read_ended(
        self, http: ClientSession, service: Served, clock: FakeClock, path: str
    ) -> None:
        nothing = await get(http, path, order="stored")
        await keep_many(service, clock, 2)

        first = await get(http, path, order="stored", cursor=nothing["next"])
        again = await get(http, path, order="stored", cursor=first["next"])
        await keep(service.service, "late", ["late"])
        late = await get(http, path, order="stored", cursor=again["next"])

        assert [page["more"] for page in (nothing, first, again, late)] == [False] * 4
        assert (nothing["items"], again["items"]) == ([], [])
        assert {item["dialog_id"] for item in first["items"]} == {"d-0", "d-1"}
        assert [item["dialog_id"] for item in late["items"]] == ["late"]

    async def test_no_commit_is_skipped_or_repeated_under_concurrent_writers(
        self, http: ClientSession, service: Served
    ) -> None:
        async def write(writer: int) -> None:
            for number in range(10):
                await keep(service.service, f"d-{writer}-{number}")

        writing = asyncio.gather(*(write(writer) for writer in range(8)))
        found: list[str] = []
        cursor: dict[str, str] = {}
        done = False
        while not done:
            done = writing.done()
            page = await get(http, "/v1/dialogs", order="stored", limit=7, **cursor)
            found += [item["dialog_id"] for item in page["items"]]
            cursor = {"cursor": page["next"]}
            done = done and not page["more"]
        await writing

        assert len(found) == 80
        assert len(set(found)) == 80

    async def test_a_dialog_erased_at_the_end_does_not_hide_the_next_one(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_many(service, clock, 2)
        page = await get(http, "/v1/dialogs", order="stored")
        await service.service.archive.erase("d-1", "requested")
        await keep(service.service, "next")

        late = await get(http, "/v1/dialogs", order="stored", cursor=page["next"])

        assert [item["dialog_id"] for item in late["items"]] == ["next"]


class TestCursors:
    async def cursor(self, http: ClientSession, path: str = "/v1/messages", **params: Any) -> str:
        return (await get(http, path, limit=1, **params))["next"]

    async def refuses(self, http: ClientSession, path: str, **params: Any) -> None:
        async with http.get(path, params=params) as response:
            problem = await response.json()
            assert (response.status, problem["code"], problem["parameter"]) == (400, "bad_request", "cursor")

    async def test_a_forged_cursor_is_refused(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep_many(service, clock, 2)
        cursor = await self.cursor(http)
        alphabet = string.ascii_letters + string.digits + "-_"

        for place, letter in enumerate(cursor[:-1]):
            other = alphabet[(alphabet.index(letter) + 1) % len(alphabet)]
            await self.refuses(http, "/v1/messages", cursor=cursor[:place] + other + cursor[place + 1 :])

    @pytest.mark.parametrize("cursor", ["x", "====", "ä", "a" * 500, "AAAA", "null", "\x00", "🙂"])
    async def test_what_is_no_cursor_is_refused(self, http: ClientSession, cursor: str) -> None:
        await self.refuses(http, "/v1/messages", cursor=cursor)

    @pytest.mark.parametrize(
        "other",
        [{"language": "de"}, {"order": "stored"}, {"role": "bot"}, {"since": "2025-01-01T00:00:00Z"}, {"bot": "shop"}],
    )
    async def test_a_cursor_of_another_query_is_refused(
        self, http: ClientSession, service: Served, clock: FakeClock, other: dict[str, str]
    ) -> None:
        await keep_many(service, clock, 2)

        await self.refuses(http, "/v1/messages", cursor=await self.cursor(http), **other)

    async def test_a_cursor_of_another_list_is_refused(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_many(service, clock, 2)

        await self.refuses(http, "/v1/dialogs", cursor=await self.cursor(http))

    async def test_another_page_size_may_go_on(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        said = await keep_many(service, clock, 2)

        assert await texts(http, cursor=await self.cursor(http), limit=1000) == said[-2::-1]

    async def test_a_cursor_holds_no_value_of_its_query(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_many(service, clock, 2, customer_id=MARKER)
        body = {"q": "a", "customer_id": MARKER, "language": "*", "limit": 1}
        async with http.post("/v1/messages/search", json=body) as response:
            cursor = (await response.json())["next"]

        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))

        pseudonym = service.service.archive.pseudonym(MARKER)
        assert not any(value in raw for value in (MARKER.encode(), pseudonym.encode()))


MALFORMED = [
    *(("limit", value) for value in ("0", "-1", "1001", "x", "", "1.5", "9" * 30, "true", "٣")),
    *(("order", value) for value in ("oldest", "", "NEWEST")),
    *(("language", value) for value in ("", "not a range", "notalanguage", "*-CH", "e", "en\n", "x" * 101)),
    *(("customer", value) for value in ("", "cus_", "c-1", "cus_" + "1" * 26, "cus_" + "a" * 27)),
    *(("dialog_id", value) for value in ("", "..", "a/b", "d" * 201)),
    *(("role", value) for value in ("", "customers", "Bot")),
    *(("bot", value) for value in ("", "b" * 201)),
    *(("purpose", value) for value in ("", "a b", "p" * 101)),
    *(
        (name, value)
        for name in ("since", "until")
        for value in ("", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "1767225600")
    ),
    ("cursor", ""),
    ("cursor", "c" * 501),
    ("q", "Hi"),
    ("customer_id", "c-1"),
    ("offset", "1"),
    ("Language", "en"),
]


class TestParameters:
    @pytest.mark.parametrize("path", LISTS)
    async def test_a_malformed_or_unknown_parameter_is_named(self, http: ClientSession, path: str) -> None:
        for name, value in MALFORMED:
            async with http.get(path, params={name: value}) as response:
                problem = await response.json()
                assert response.status == 400, (name, value)
                assert (problem["code"], problem["parameter"]) == ("bad_request", name), value
                assert response.content_type == "application/problem+json"
                assert problem["status"] == 400
                assert {"type", "title", "detail"} < set(problem)

    async def test_a_parameter_that_is_there_twice_is_named(self, http: ClientSession) -> None:
        async with http.get("/v1/messages?role=bot&role=customer") as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "role")

    @pytest.mark.parametrize("limit", [1, 1000])
    async def test_limits_at_the_bounds_are_taken(self, http: ClientSession, limit: int) -> None:
        await get(http, "/v1/messages", limit=limit)

    async def test_the_default_limit_is_100(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", [str(number) for number in range(101)])

        page = await get(http, "/v1/messages")

        assert len(page["items"]) == 100
        assert page["next"] is not None


class TestExtrasOfMessages:
    async def test_a_message_shows_the_metadata_of_its_dialog_if_that_is_asked_for(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", ["Hello", "Bye"], metadata={"shop": "Graz"})
        await keep(service.service, "d-2")
        bare = await messages(http)

        full = await messages(http, include="metadata")

        assert [item["metadata"] for item in full] == [None, {"shop": "Graz"}, {"shop": "Graz"}]
        assert [{name: item[name] for name in item if name != "metadata"} for item in full] == bare

    async def test_it_comes_with_a_search_and_with_every_page(self, http: ClientSession, service: Served) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", ["Hello"], metadata={"number": str(number)})
        asked = {"q": "hello", "limit": 2, "include": "metadata"}

        async with http.post("/v1/messages/search", json=asked) as response:
            first = await response.json()
        async with http.post("/v1/messages/search", json=asked | {"cursor": first["next"]}) as response:
            last = await response.json()

        assert [item["metadata"]["number"] for item in first["items"] + last["items"]] == ["2", "1", "0"]

    async def test_the_access_log_tells_that_it_was_shown(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")

        await messages(http, include="metadata")

        entry = (await get(http, "/v1/access-log"))["items"][0]
        assert (entry["action"], entry["values"]) == ("messages.read", {"include": ["metadata"]})

    @pytest.mark.parametrize(
        "asked", [{"include": "first_text"}, {"format": "csv"}, {"format": "ndjson"}, {"shape": "chat"}]
    )
    async def test_only_pages_of_messages_have_it(self, http: ClientSession, asked: dict[str, str]) -> None:
        async with http.get("/v1/messages", params={"include": "metadata"} | asked) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "include")
