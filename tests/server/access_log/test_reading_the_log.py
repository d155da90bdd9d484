"""Reading the access log: whose data a credential saw, who saw a customer, in pages (GDPR art. 33)."""

from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import Actor
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.reading.streams import Stream
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep

from .entries import SCIENTIST, post, valid


class TestReading:
    async def test_art_33_whose_data_a_credential_saw_between_two_times(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(4):
            await keep(service.service, f"d-{number}", customer_id=f"c-{number}")
        archive, reading, began = service.service.archive, service.service.pages, clock.now()
        await reading.dialog("d-0", ReadScope(by=SCIENTIST))
        clock.advance(60)
        await reading.dialog("d-1", ReadScope(by=SCIENTIST))
        await reading.dialog("d-2", ReadScope(by=SCIENTIST))
        await reading.dialog("d-3", ReadScope(by=Actor("somebody else")))
        await archive.erase("d-2", "requested")
        times = {"since": (began + timedelta(seconds=30)).isoformat(), "until": (clock.now()).isoformat()}
        clock.advance(60)

        nobody = await get(http, "/v1/access-log/dialogs", who="science", **times)
        times["until"] = clock.now().isoformat()
        saw = await get(http, "/v1/access-log/dialogs", who="science", **times)

        assert nobody["items"] == []
        assert [dialog["dialog_id"] for dialog in saw["items"]] == ["d-1", "d-2"]
        assert saw["items"][0]["customer"] == service.service.archive.pseudonym("c-1")
        assert (saw["items"][1]["customer"], saw["items"][1]["erased_at"]) == (None, "2026-01-01T00:01:00Z")

    async def test_art_33_a_stream_counts_from_its_beginning_and_one_that_never_ended_is_named(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await keep(service.service, "d-1")
        streams = [Stream("ndjson", "messages", Filter(), ReadScope(by=SCIENTIST), "stored") for _ in range(2)]
        ends, runs = [service.service.streams.run(stream, check=valid) for stream in streams]
        for stream in (ends, runs):
            await anext(stream)
        clock.advance(60)
        until = clock.now().isoformat()
        before = await get(http, "/v1/access-log/dialogs", until=until)
        await ends.aclose()

        after = await get(http, "/v1/access-log/dialogs", until=until)
        await runs.aclose()

        assert (before["items"], sorted(before["unfinished"])) == ([], sorted(stream.id for stream in streams))
        assert [dialog["dialog_id"] for dialog in after["items"]] == ["d-1"]
        assert after["unfinished"] == [streams[1].id]

    async def test_seen_dialogs_come_in_pages(self, http: ClientSession, service: Served) -> None:
        for number in range(5):
            await keep(service.service, f"d-{number}")
        await get(http, "/v1/messages")

        walked: list[str] = []
        params: dict[str, Any] = {"limit": 2}
        while True:
            page = await get(http, "/v1/access-log/dialogs", **params)
            walked += [dialog["dialog_id"] for dialog in page["items"]]
            if page["next"] is None:
                break
            params["cursor"] = page["next"]

        assert walked == [f"d-{number}" for number in range(5)]

    async def test_who_saw_a_customer_and_who_saw_a_dialog(self, http: ClientSession, service: Served) -> None:
        for number in (1, 2):
            await keep(service.service, f"d-{number}", customer_id=f"c-{number}")
            await service.service.pages.dialog(f"d-{number}", ReadScope(by=Actor(f"reader-{number}")))

        of_customer = await post(http, "/v1/access-log/search", customer_id="c-1")
        of_dialog = await post(http, "/v1/access-log/search", dialog_id="d-2")
        of_nobody = await post(http, "/v1/access-log/search", customer_id="c-9")
        await service.service.archive.erase("d-2", "requested")
        after = await post(http, "/v1/access-log/search", dialog_id="d-2")

        assert [entry["who"] for entry in of_customer["items"]] == ["reader-1"]
        assert [entry["who"] for entry in of_dialog["items"]] == ["reader-2"]
        assert of_nobody["items"] == []
        assert [entry["who"] for entry in after["items"]] == ["service", "reader-2"]

    async def test_the_log_comes_in_pages_newest_first(self, http: ClientSession, service: Served) -> None:
        for _ in range(5):
            await get(http, "/v1/messages")

        walked: list[int] = []
        params: dict[str, Any] = {"limit": 2, "action": "messages.read"}
        while True:
            async with http.get("/v1/access-log", params=params) as response:
                page = await response.json()
            walked += [entry["number"] for entry in page["items"]]
            assert ("next" in response.links) == (page["next"] is not None)
            if page["next"] is None:
                break
            params["cursor"] = page["next"]

        assert walked == sorted(walked, reverse=True)
        assert len(walked) == 5

    async def test_a_cursor_of_another_query_is_refused(self, http: ClientSession, service: Served) -> None:
        for _ in range(3):
            await get(http, "/v1/messages")
        page = await get(http, "/v1/access-log", limit=1)
        for path, params in (
            ("/v1/access-log", {"cursor": page["next"], "who": "local"}),
            ("/v1/access-log/dialogs", {"cursor": page["next"]}),
            ("/v1/access-log", {"cursor": "nonsense"}),
            ("/v1/access-log", {"action": "nothing"}),
            ("/v1/access-log", {"customer_id": "c-1"}),
        ):
            async with http.get(path, params=params) as response:
                assert response.status == 400, params

    async def test_a_customer_by_two_names_must_be_one(self, http: ClientSession, service: Served) -> None:
        other = service.service.archive.pseudonym("c-2")
        async with http.post("/v1/access-log/search", json={"customer": other, "customer_id": "c-1"}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "customer_id")

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_only_privacy_officers_read_it(self, http: ClientSession, service: Served) -> None:
        token = await service.create_key("data:read", "data:identify", "dialogs:write")
        async with http.get("/v1/access-log", headers=bearer(token)) as response:
            assert response.status == 403
