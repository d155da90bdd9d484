"""A damaged dialog is left out and named, and its neighbours are shown."""

import json

import pytest
from aiohttp import ClientSession

from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import Served
from kept import get, keep

from .lists import alter


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
