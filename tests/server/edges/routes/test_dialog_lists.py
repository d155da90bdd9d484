"""Lists of dialogs over REST: by length, and with what has to be opened."""

from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.consent.notices import Wording
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep

from .lists import alter

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
