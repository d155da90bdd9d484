"""Lists of dialogs over REST: by length, and with what has to be opened."""

from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.consent.notices import Wording
from consentful_server.reading import pages
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep

from .lists import LISTS, alter

LENGTHS = (3, 1, 2, 3, 1, 5)


async def keep_lengths(served: Served, clock: FakeClock) -> None:
    """Store dialogs `d-0`, `d-1` … of so many messages, a second apart."""
    for number, length in enumerate(LENGTHS):
        clock.advance(1)
        await keep(served.service, f"d-{number}", ["Hi"] * length, language="en")


async def listed(http: ClientSession, **params: Any) -> list[str]:
    return [item["dialog_id"] for item in (await get(http, "/v1/dialogs", **params))["items"]]


class TestLengths:
    @pytest.mark.parametrize("limit", [1, 2, 1000])
    @pytest.mark.parametrize("order", ["longest", "shortest"])
    async def test_pages_are_by_length_and_then_by_receipt(
        self, http: ClientSession, service: Served, clock: FakeClock, order: str, limit: int
    ) -> None:
        await keep_lengths(service, clock)
        expected = sorted(range(len(LENGTHS)), key=lambda number: (LENGTHS[number], number), reverse=order == "longest")

        found: list[str] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            cursor = {"cursor": page["next"]} if page["next"] else {}
            page = await get(http, "/v1/dialogs", order=order, limit=limit, **cursor)
            found += [item["dialog_id"] for item in page["items"]]

        assert found == [f"d-{number}" for number in expected]

    async def test_a_walk_does_not_see_what_was_stored_after_it_began(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_lengths(service, clock)
        first = await get(http, "/v1/dialogs", order="shortest", limit=2)
        await keep(service.service, "late", ["Hi"] * 4)

        rest = await listed(http, order="shortest", limit=1000, cursor=first["next"])

        assert rest == ["d-2", "d-0", "d-3", "d-5"]

    async def test_times_narrow_it_down_on_every_page(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep_lengths(service, clock)
        moments = {it["dialog_id"]: it["received_at"] for it in (await get(http, "/v1/dialogs"))["items"]}
        times = {"since": moments["d-1"], "until": moments["d-5"]}

        first = await get(http, "/v1/dialogs", order="longest", limit=2, **times)
        rest = await listed(http, order="longest", cursor=first["next"], **times)

        assert [item["dialog_id"] for item in first["items"]] + rest == ["d-3", "d-2", "d-4", "d-1"]

    @pytest.mark.parametrize("name", ["language", "role", "bot", "purpose"])
    @pytest.mark.parametrize("form", ["json", "ndjson"])
    async def test_what_the_index_of_lengths_does_not_have_is_refused(
        self, http: ClientSession, name: str, form: str
    ) -> None:
        params = {"order": "longest", name: "bot", "format": form}

        async with http.get("/v1/dialogs", params=params) as response:
            problem = await response.json()

        assert (response.status, problem["parameter"]) == (400, "order")
        assert problem["detail"] == f"order: longest cannot be combined with {name}; omit one of them"

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_a_key_that_is_bound_to_purposes_is_refused(
        self, http: ClientSession, service: Served, two_purposes: Wording
    ) -> None:
        token = await service.create_key("data:read", purposes=two_purposes.purposes[:1])

        async with http.get("/v1/dialogs", params={"order": "shortest"}, headers=bearer(token)) as response:
            problem = await response.json()

        assert (response.status, problem["parameter"]) == (400, "order")

    async def test_messages_are_not_by_length(self, http: ClientSession) -> None:
        async with http.get("/v1/messages", params={"order": "longest"}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "order")

    async def test_a_stream_is_by_length_as_well(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep_lengths(service, clock)

        async with http.get("/v1/dialogs", params={"order": "longest", "format": "csv"}) as response:
            lines = (await response.text()).splitlines()

        assert [line.split(",")[0] for line in lines[1:]] == ["d-5", "d-3", "d-0", "d-2", "d-4", "d-1"]


async def searched(http: ClientSession, path: str = "/v1/dialogs:search", **body: Any) -> dict[str, Any]:
    async with http.post(path, json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def walked(http: ClientSession, path: str = "/v1/dialogs:search", **body: Any) -> list[str]:
    """Return the ids of all pages, however many of them are empty."""
    found: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        cursor = {"cursor": page["next"]} if page["next"] else {}
        page = await searched(http, path, **body, **cursor)
        found += [item["dialog_id"] for item in page["items"]]
        if page["next"] is None:
            return found


PATHS = ("/v1/dialogs:search", "/v1/messages/search")


class TestSearch:
    async def test_dialogs_are_found_by_a_text_in_any_of_their_messages(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", ["Hi", "Grüß Gott"], bot="shop")
        await keep(service.service, "d-2", ["grüss gott"])
        await keep(service.service, "d-3", ["Hi"])

        assert await walked(http, q="GRÜß") == ["d-2", "d-1"]
        assert await walked(http, q="gott", bot="shop") == ["d-1"]
        assert await walked(http, q="gott", order="longest", limit=1) == ["d-1", "d-2"]

    @pytest.mark.parametrize("path", PATHS)
    async def test_metadata_has_all_pairs(self, http: ClientSession, service: Served, path: str) -> None:
        await keep(service.service, "d-1", metadata={"shop": "Graz", "till": "3"})
        await keep(service.service, "d-2", metadata={"shop": "Graz"})
        await keep(service.service, "d-3")

        assert await walked(http, path, metadata={"shop": "Graz"}) == ["d-2", "d-1"]
        assert await walked(http, path, metadata={"shop": "Graz", "till": "3"}) == ["d-1"]
        assert await walked(http, path, metadata={"shop": "graz"}) == []
        assert await walked(http, path, metadata={"shop": "Graz"}, q="hi", limit=1) == ["d-2", "d-1"]

    @pytest.mark.parametrize("path", PATHS)
    async def test_a_search_goes_on_through_empty_pages(
        self, http: ClientSession, service: Served, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "_SCAN_BLOCK", 2)
        monkeypatch.setattr(pages, "_SCAN_MOST", 4)
        for number in range(11):
            await keep(service.service, f"d-{number}", metadata={"shop": "Graz" if number == 0 else "Linz"})

        first = await searched(http, path, metadata={"shop": "Graz"})

        assert first["items"] == []
        assert await walked(http, path, metadata={"shop": "Graz"}) == ["d-0"]
        assert await walked(http, path, metadata={"shop": "Linz"}, limit=3) == [f"d-{n}" for n in range(10, 0, -1)]

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
    async def test_a_selection_is_exported_exactly(
        self, http: ClientSession, service: Served, path: str, form: str
    ) -> None:
        for number in range(5):
            await keep(service.service, f"d-{number}", metadata={"n": str(number % 2)})
        body = {"dialog_ids": ["d-3", "d-1", "d-2", "unknown"], "metadata": {"n": "1"}, "format": form}

        async with http.post(path, json=body) as response:
            assert response.status == 200
            data, export = await response.read(), response.headers["Export-Id"]

        assert (data.count(b"d-1") > 0, data.count(b"d-3") > 0) == (True, True)
        assert b"d-2" not in data
        manifest = await get(http, f"/v1/exports/{export}")
        assert manifest["rows"] == 2
        assert manifest["filter"] == {"dialog_ids": 4, "metadata": {"n": "1"}, "watermark": 5}

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("dialog_ids", []),
            ("dialog_ids", ["d"] * 1001),
            ("dialog_ids", ["a b"]),
            ("dialog_ids", "d-1"),
            ("metadata", {}),
            ("metadata", {"shop": 1}),
            ("metadata", {"x" * 4097: "y"}),
            ("metadata", {f"k{number}": "" for number in range(17)}),
        ],
    )
    async def test_what_is_malformed_is_named(self, http: ClientSession, path: str, name: str, value: Any) -> None:
        async with http.post(path, json={name: value}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, name)

    @pytest.mark.parametrize("noun", ["dialogs", "messages"])
    @pytest.mark.parametrize("name", ["q", "customer_id", "dialog_ids", "metadata"])
    async def test_what_tells_of_a_person_is_not_taken_from_a_url(
        self, http: ClientSession, noun: str, name: str
    ) -> None:
        async with http.get(f"/v1/{noun}", params={name: "x"}) as response:
            problem = await response.json()

        assert (response.status, problem["parameter"]) == (400, name)
        path = {"messages": "/v1/messages/search", "dialogs": "/v1/dialogs:search"}[noun]
        assert problem["detail"].endswith(f"use POST {path}")

    async def test_the_log_forgets_metadata_that_found_nothing_or_what_was_erased(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", metadata={"order": "4711"})
        await searched(http, metadata={"order": "nobody"})
        await searched(http, metadata={"order": "4711"})
        log = service.service.access_log

        before = [entry["values"] for entry in (await get(http, "/v1/access-log", action="dialogs.read"))["items"]]
        await service.service.archive.erase("d-1", "requested")
        await log.forget_words()
        after = [entry["values"] for entry in (await get(http, "/v1/access-log", action="dialogs.read"))["items"]]

        assert before == [{"metadata": {"order": "4711"}}, None]
        assert after == [None, None]


class TestSamples:
    async def test_a_seed_makes_an_order_and_pages_go_through_it(self, http: ClientSession, service: Served) -> None:
        for number in range(20):
            await keep(service.service, f"d-{number}", bot="shop" if number % 2 else "bank")

        whole = await listed(http, order="random", seed=7)
        by_page = await walked(http, order="random", seed=7, limit=3)
        shop = await walked(http, order="random", seed=7, limit=3, bot="shop")

        assert by_page == whole
        assert sorted(whole) == sorted(f"d-{number}" for number in range(20))
        assert whole != await listed(http, order="random", seed=8)
        assert shop == [it for it in whole if int(it[2:]) % 2]

    async def test_a_cursor_is_of_one_seed(self, http: ClientSession, service: Served) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}")
        first = await get(http, "/v1/dialogs", order="random", seed=7, limit=1)

        async with http.get("/v1/dialogs", params={"order": "random", "seed": 8, "cursor": first["next"]}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "cursor")

    async def test_the_access_log_tells_the_seed(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")
        await listed(http, order="random")
        await listed(http, seed=7)

        entries = (await get(http, "/v1/access-log", action="dialogs.read"))["items"]

        assert [entry["values"] for entry in entries] == [None, {"seed": 0}]

    @pytest.mark.parametrize("seed", ["-1", str(2**53), "1.5", "x"])
    async def test_a_seed_is_an_integer_that_json_can_carry(self, http: ClientSession, seed: str) -> None:
        async with http.get("/v1/dialogs", params={"order": "random", "seed": seed}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "seed")

    async def test_a_stream_is_not_random(self, http: ClientSession) -> None:
        async with http.get("/v1/dialogs", params={"order": "random", "format": "csv"}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "order")


class TestExtras:
    async def test_a_dialog_shows_what_is_asked_for_and_no_more(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["x" * 300, "Hello"], metadata={"shop": "Graz"})
        await http.put("/v1/annotations/d-1/2", json={"labels": ["greeting"], "review": "accepted"})

        (bare,) = (await get(http, "/v1/dialogs"))["items"]
        (full,) = (await get(http, "/v1/dialogs", include="annotations,first_text,metadata"))["items"]
        (some,) = (await get(http, "/v1/dialogs", include="metadata"))["items"]

        assert set(full) - set(bare) == {"first_text", "metadata", "annotations"}
        assert (full["first_text"], full["metadata"]) == ("x" * 200, {"shop": "Graz"})
        (annotation,) = full["annotations"]
        assert (annotation["seq"], annotation["labels"], annotation["review"]) == (2, ["greeting"], "accepted")
        assert some == bare | {"metadata": {"shop": "Graz"}}

    async def test_what_a_dialog_does_not_have_is_told(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")

        (item,) = (await get(http, "/v1/dialogs", include="annotations,metadata"))["items"]

        assert (item["metadata"], item["annotations"]) == (None, [])

    async def test_the_access_log_tells_what_was_shown(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")

        await get(http, "/v1/dialogs", include="metadata,first_text", limit=7)

        entry = (await get(http, "/v1/access-log"))["items"][0]
        assert (entry["action"], entry["dialogs"]) == ("dialogs.read", 1)
        assert entry["values"] == {"include": ["first_text", "metadata"]}

    @pytest.mark.parametrize("include", ["", "texts", "metadata,", "metadata;annotations", "metadata,metadata\n"])
    async def test_what_is_not_to_be_had_is_refused(self, http: ClientSession, include: str) -> None:
        async with http.get("/v1/dialogs", params={"include": include}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "include")

    async def test_a_stream_has_none(self, http: ClientSession) -> None:
        async with http.get("/v1/dialogs", params={"include": "metadata", "format": "csv"}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "include")

    async def test_a_damaged_text_hurts_its_own_dialog_alone(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")
        await keep(service.service, "d-2")
        alter(service, "UPDATE seals SET texts = zeroblob(40) WHERE dialog = (SELECT min(dialog) FROM seals)")

        page = await get(http, "/v1/dialogs", include="first_text")

        assert ([item["dialog_id"] for item in page["items"]], page["damaged"]) == (["d-2"], ["d-1"])

    @pytest.mark.parametrize("path", LISTS)
    async def test_damaged_metadata_hurts_its_own_dialog_alone(
        self, http: ClientSession, service: Served, path: str
    ) -> None:
        await keep(service.service, "d-1", metadata={"shop": "Graz"})
        await keep(service.service, "d-2", metadata={"shop": "Linz"})
        alter(service, "UPDATE seals SET metadata = zeroblob(40) WHERE dialog = (SELECT min(dialog) FROM seals)")

        page = await get(http, path, include="metadata")

        assert ({item["dialog_id"] for item in page["items"]}, page["damaged"]) == ({"d-2"}, ["d-1"])
