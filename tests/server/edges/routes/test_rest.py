"""REST over what was consented to (contract §2): pages, cursors, formats, one dialog, erasure."""

import asyncio
import base64
import json
import string
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession
from cryptography.exceptions import InvalidSignature

from consentful_server.archive.query import Position
from consentful_server.errors import Damaged
from consentful_server.reading.streams import Stream
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served
from kept import get, keep, messages, texts
from receipts import verified

LISTS = ("/v1/messages", "/v1/dialogs")
ORDERS = ("newest", "stored")
MARKER = "contraband-4711"


async def keep_many(served: Served, clock: FakeClock, count: int, *, customer_id: str = "c-1") -> list[str]:
    """Store dialogs `d-0`, `d-1` … of two messages each, a second apart; return the texts, oldest first."""
    said: list[str] = []
    for number in range(count):
        clock.advance(1)
        both = [f"{number} a", f"{number} b"]
        await keep(served.service, f"d-{number}", both, customer_id=customer_id)
        said += both
    return said


def key_of(item: dict[str, Any]) -> str:
    return item.get("text", item["dialog_id"])


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

    @pytest.mark.parametrize("accept", ["text/html", "image/*", "application/xml", "application/json;q=0"])
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


class TestDamaged:
    """What does not open takes no neighbours along, and is named."""

    @pytest.fixture(
        params=[
            "UPDATE dialogs SET expires_at = expires_at + 1 WHERE id = 2",
            "UPDATE dialog_keys SET wrapped = zeroblob(64) WHERE dialog = 2",
            "UPDATE seals SET customer = zeroblob(40) WHERE dialog = 2",
            "UPDATE dialogs SET language = 'de' WHERE id = 2",
            "UPDATE dialogs SET opened_at = opened_at - 1 WHERE id = 2",
            "UPDATE dialogs SET messages = 2 WHERE id = 2",
        ]
    )
    async def damaged(self, service: Served, request: pytest.FixtureRequest) -> None:
        for number in range(1, 4):
            await keep(service.service, f"d-{number}")
        db = connect(service.service.settings.data_dir / "consentful.db")
        db.execute(request.param)
        db.close()

    @pytest.mark.usefixtures("damaged")
    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/dialogs", "/v1/messages?shape=chat"])
    async def test_a_page_leaves_it_out_and_names_it(self, http: ClientSession, path: str) -> None:
        page = await get(http, path)

        assert [item["dialog_id"] for item in page["items"]] == ["d-3", "d-1"]
        assert page["damaged"] == ["d-2"]

    @pytest.mark.usefixtures("damaged")
    @pytest.mark.parametrize("path", ["/v1/messages?", "/v1/dialogs?", "/v1/messages?shape=chat&"])
    async def test_a_stream_leaves_it_out_and_its_manifest_tells(self, http: ClientSession, path: str) -> None:
        async with http.get(path + "format=ndjson") as response:
            lines = [json.loads(line) for line in (await response.read()).splitlines()]
            export_id = response.headers["Export-Id"]

        assert [line["dialog_id"] for line in lines] == ["d-3", "d-1"]
        manifest = await get(http, f"/v1/exports/{export_id}")
        assert (manifest["complete"], manifest["damaged"]) == (True, 1)

    @pytest.mark.usefixtures("damaged")
    async def test_alone_it_is_500_and_the_original_contract_goes_on(self, http: ClientSession) -> None:
        async with http.get("/v1/dialogs/d-2") as response:
            assert (response.status, (await response.json())["code"]) == (500, "damaged")
        async with http.get("/data") as response:
            assert [item["dialogId"] for item in await response.json()] == ["d-3", "d-1"]

    @pytest.mark.parametrize(
        "altered", ["role = 'agent'", "language = 'de'", "language = NULL", "received_at = received_at + 1"]
    )
    @pytest.mark.parametrize(
        "path", ["/v1/messages", "/v1/messages?shape=chat", "/v1/messages?format=ndjson", "/v1/dialogs/d-2", "/data"]
    )
    async def test_who_said_what_when_and_in_which_language_cannot_be_altered_unseen(
        self, http: ClientSession, service: Served, path: str, altered: str
    ) -> None:
        for number in range(1, 4):
            await keep(service.service, f"d-{number}", ["the first", "the second"], language="en")
        alter(service, f"UPDATE messages SET {altered} WHERE dialog = 2 AND seq = 2")

        async with http.get(path) as response:
            body = await response.text()

        assert response.status == (500 if path.endswith("d-2") else 200)
        assert body.count("the first") == (0 if path.endswith("d-2") else 2)
        assert '"d-2"' not in body.partition('"damaged":')[0]
        assert ('"damaged":["d-2"]' in body) == (path in ("/v1/messages", "/v1/messages?shape=chat"))

    @pytest.mark.parametrize("seq", [0, 9, -1])
    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?format=ndjson", "/data"])
    async def test_a_row_of_no_message_shows_no_other_message(
        self, http: ClientSession, service: Served, path: str, seq: int
    ) -> None:
        for number in range(1, 4):
            await keep(service.service, f"d-{number}", ["the first", "the second"])
        alter(service, f"UPDATE messages SET seq = {seq} WHERE dialog = 2 AND seq = 2")

        async with http.get(path) as response:
            body = await response.text()

        assert (response.status, body.count("the first"), body.count("the second")) == (200, 2, 2)

    @pytest.mark.parametrize("path", ["/v1/messages?shape=chat", "/v1/messages?shape=chat&format=ndjson"])
    async def test_a_dialog_that_lost_the_rows_of_its_messages_breaks_no_page(
        self, http: ClientSession, service: Served, path: str
    ) -> None:
        for number in range(1, 3):
            await keep(service.service, f"d-{number}")
        alter(service, "DELETE FROM messages WHERE dialog = 2")

        async with http.get(path) as response:
            assert (response.status, (await response.text()).count("Hi")) == (200, 1)

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_a_reader_of_lists_who_may_not_identify_sees_no_altered_purpose(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1")
        alter(service, "UPDATE dialogs SET bot = 'another'")

        page = await get(http, "/v1/dialogs", token=await service.create_key("data:read"))

        assert (page["items"], page["damaged"]) == ([], ["d-1"])


def alter(service: Served, sql: str) -> None:
    with closing(connect(service.service.settings.data_dir / "consentful.db")) as db:
        db.execute(sql)


class TestOneDialog:
    async def test_a_dialog_comes_whole_with_its_receipt(self, http: ClientSession, service: Served) -> None:
        stored = await keep(service.service, "d-1", ["one", "two"], metadata={"k": "v"})

        dialog = await get(http, "/v1/dialogs/d-1")

        assert dialog["receipt"] == stored.receipt
        assert dialog["metadata"] == {"k": "v"}
        assert [(message["seq"], message["text"]) for message in dialog["messages"]] == [(1, "one"), (2, "two")]
        assert dialog["expires_at"] > dialog["stored_at"]
        assert "withdrawal_code" not in dialog

    @pytest.mark.parametrize("dialog_id", ["missing", "D-1", "d-1.", "d" * 200])
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    async def test_a_missing_dialog_is_404(
        self, http: ClientSession, service: Served, method: str, dialog_id: str
    ) -> None:
        await keep(service.service, "d-1")

        async with http.request(method, f"/v1/dialogs/{dialog_id}") as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")
        assert await texts(http) == ["Hi"]

    async def test_an_erased_dialog_is_410(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")
        await http.delete("/v1/dialogs/d-1")

        async with http.get("/v1/dialogs/d-1") as response:
            assert (response.status, (await response.json())["code"]) == (410, "erased")

    async def test_a_retracted_dialog_that_never_was_is_404(self, http: ClientSession, service: Served) -> None:
        await service.service.archive.decline("d-1", "c-1", owner="local", retract=True)

        assert (await http.get("/v1/dialogs/d-1")).status == 404


class TestErasure:
    async def test_erasing_leaves_nothing_to_read(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep(service.service, "d-1", ["one", "two"])
        await keep(service.service, "d-2", ["three"])

        async with http.delete("/v1/dialogs/d-1") as response:
            erased = await response.json()

        now = clock.now().isoformat().replace("+00:00", "Z")
        assert (response.status, erased) == (200, {"dialog_id": "d-1", "erased_at": now, "status": "unreadable"})
        assert await texts(http) == ["three"]
        async with http.get("/v1/messages?format=ndjson") as stream:
            assert b"one" not in await stream.read()

    async def test_erasing_again_answers_the_same(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep(service.service, "d-1")
        first = await (await http.delete("/v1/dialogs/d-1")).json()
        clock.advance(60)

        async with http.delete("/v1/dialogs/d-1") as response:
            assert (response.status, await response.json()) == (200, first)


async def test_receipts_are_verified_with_the_published_keys(http: ClientSession, service: Served) -> None:
    stored = await keep(service.service, "d-1", ["one", "two"], bot="shop")
    keys = (await get(http, "/.well-known/jwks.json"))["keys"]

    claims = verified(stored.receipt, *keys)

    assert claims["iss"] == "consentful"
    assert (claims["jti"], claims["messages"], claims["bot"]) == ("d-1", 2, "shop")
    assert claims["sub"] == service.service.archive.pseudonym("c-1")
    head, body, signature = stored.receipt.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"messages": 3}).encode()).decode().rstrip("=")
    assert forged != body
    with pytest.raises(InvalidSignature):
        verified(f"{head}.{forged}.{signature}", *keys)


async def test_published_keys_hold_nothing_private(http: ClientSession) -> None:
    async with http.get("/.well-known/jwks.json") as response:
        assert response.content_type == "application/jwk-set+json"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        (key,) = (await response.json(content_type=None))["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}


class TestMethods:
    @pytest.mark.parametrize(
        "path", ["/v1/messages", "/v1/dialogs", "/v1/dialogs/d-1", "/data", "/", "/healthz", "/readyz", "/metrics"]
    )
    async def test_head_answers_like_get_without_a_body(self, http: ClientSession, service: Served, path: str) -> None:
        await keep(service.service, "d-1")

        async with http.head(path) as head, http.get(path) as got:
            assert head.status == got.status == 200
            assert head.content_type == got.content_type
            assert await head.read() == b""

    async def test_head_of_a_stream_reads_nothing(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")

        async with http.head("/v1/messages?format=ndjson") as response:
            assert (response.status, response.content_type) == (200, "application/x-ndjson")
            assert await response.read() == b""
        await get(http, "/healthz")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("OPTIONS", "/v1/messages", {"GET", "HEAD"}),
            ("POST", "/v1/messages", {"GET", "HEAD"}),
            ("DELETE", "/v1/messages", {"GET", "HEAD"}),
            ("GET", "/v1/messages/search", {"POST"}),
            ("PUT", "/v1/dialogs/d-1", {"GET", "HEAD", "DELETE"}),
            ("PATCH", "/data", {"GET", "HEAD"}),
            ("GET", "/data/c-1/d-1", {"POST"}),
            ("GET", "/consents/d-1", {"POST"}),
            ("POST", "/healthz", {"GET", "HEAD"}),
        ],
    )
    async def test_another_method_is_405_and_names_those_that_are(
        self, http: ClientSession, method: str, path: str, allowed: set[str]
    ) -> None:
        async with http.request(method, path) as response:
            assert (response.status, (await response.json())["code"]) == (405, "method_not_allowed")
            assert response.content_type == "application/problem+json"
            assert set(response.headers["Allow"].split(",")) == allowed

    @pytest.mark.parametrize("path", ["/v1", "/v2/messages", "/v1/messages//", "/v1/dialogs/d-1/messages", "/admin"])
    async def test_another_path_is_404(self, http: ClientSession, path: str) -> None:
        async with http.get(path) as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")
            assert response.content_type == "application/problem+json"


async def test_a_fault_of_ours_is_500_and_tells_nothing(
    http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(MARKER)

    monkeypatch.setattr(service.service.pages, "messages", fails)

    async with http.get("/v1/messages") as response:
        problem = await response.json()

    assert (response.status, problem["code"]) == (500, "internal")
    assert MARKER not in str(problem)
