"""Who saw, erased or changed what (GDPR art. 32, 33): written down before it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import OPERATOR
from consentful_server.archive.archive import Archive
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.reading.streams import Stream
from consentful_server.testing import Served
from kept import get, keep

from .entries import SCIENTIST, last, logged, post, valid

Erase: TypeAlias = Callable[[Archive, str], Awaitable[object]]
ERASURES: Final[list[tuple[Erase, str, str]]] = [
    (lambda archive, _: archive.erase("d-1", "requested", by=OPERATOR), "dialog.requested", "command line"),
    (lambda archive, _: archive.erase("d-1", "expired"), "dialog.expired", "service"),
    (lambda archive, code: archive.withdraw(code), "dialog.withdrawn", "customer"),
    (lambda archive, _: archive.decline("d-1", "c-1", owner="shop"), "dialog.declined", "shop"),
    (lambda archive, _: archive.decline("d-1", "c-1", owner="shop", retract=True), "dialog.retracted", "shop"),
]


class TestWhatIsWrittenDown:
    async def test_a_page_with_its_reader_filters_rows_dialogs_and_request(
        self, http: ClientSession, service: Served
    ) -> None:
        for dialog_id in ("d-1", "d-2"):
            await keep(service.service, dialog_id, ["Hi", "Hello"], language="en")

        async with http.get("/v1/messages", params={"language": "EN"}) as response:
            request = response.headers["Request-Id"]

        entry = await last(service)
        assert (entry.who, entry.kind, entry.action) == ("local", "credential", "messages.read")
        assert (entry.rows, entry.dialogs, entry.request) == (4, 2, request)
        assert (entry.filters, entry.values) == (("language",), {"language": "en"})
        assert entry.at == service.service.clock.now()

    @pytest.mark.parametrize(
        ("path", "action", "rows"),
        [
            ("/v1/messages?limit=1", "messages.read", 1),
            ("/v1/dialogs", "dialogs.read", 1),
            ("/v1/dialogs/d-1", "dialog.read", 2),
            ("/data", "messages.read", 2),
            ("/v1/messages?format=ndjson", "messages.sent", 2),
        ],
    )
    async def test_every_way_of_reading(
        self, http: ClientSession, service: Served, path: str, action: str, rows: int
    ) -> None:
        await keep(service.service, "d-1", ["Hi", "Hello"])

        async with http.get(path) as response:
            assert response.status == 200
            await response.read()

        entry = await last(service)
        assert (entry.action, entry.rows, entry.dialogs) == (action, rows, 1)

    async def test_what_is_read_at_once_in_one_commit_each_with_its_own_entry(self, service: Served) -> None:
        await keep(service.service, "d-1")
        commits: list[int] = []
        service.service.store.measure(lambda jobs, _: commits.append(jobs))
        notes = [service.service.access_log.note(SCIENTIST, "messages.read", wanted={"bot": str(n)}) for n in range(8)]

        await asyncio.gather(*(service.service.store.access_log.add(note) for note in notes))

        assert commits == [8]
        assert [entry.values for entry in reversed(await logged(service, action="messages.read"))] == [
            {"bot": str(number)} for number in range(8)
        ]
        assert (await service.service.access_log.check()).fault is None

    async def test_a_search_whose_words_are_on_no_disk(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["a needle", "hay"])

        await post(http, "/v1/messages/search", q="needle")

        entry = await last(service)
        assert (entry.values, entry.rows, entry.dialogs) == ({"q": "needle"}, 1, 1)
        files = b"".join(path.read_bytes() for path in (service.folder / "data").iterdir())
        assert b"messages.read" in files
        assert b"needle" not in files

    async def test_a_stream_before_its_first_byte_and_after_its_last(self, service: Served) -> None:
        await keep(service.service, "d-1", ["Hi"])
        stream = service.service.streams.run(
            Stream("ndjson", "messages", Filter(), ReadScope(by=SCIENTIST), "stored"), check=valid
        )

        await anext(stream)
        began = await last(service)
        await stream.aclose()
        ended = await last(service)

        assert (began.action, began.rows, began.values) == ("messages.streamed", 0, {"watermark": 1})
        assert (ended.action, ended.rows, ended.dialogs) == ("messages.sent", 1, 1)
        assert began.subject == ended.subject

    async def test_an_entry_is_there_before_the_answer(self, service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        await keep(service.service, "d-1")
        answered = asyncio.Event()
        seen: list[bool] = []

        async def add(_note: object) -> None:
            await asyncio.sleep(0)
            seen.append(answered.is_set())

        monkeypatch.setattr(service.service.store.access_log, "add", add)
        await service.service.pages.messages(Filter(), ReadScope(), order="newest", limit=1, view=list)
        answered.set()

        assert seen == [False]

    async def test_what_cannot_be_written_down_is_not_read(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from consentful_server.errors import StorageFailed

        async def add(_note: object) -> None:
            raise StorageFailed

        await keep(service.service, "d-1", ["a secret"])
        monkeypatch.setattr(service.service.store.access_log, "add", add)

        for path in ("/v1/messages", "/v1/dialogs", "/v1/dialogs/d-1", "/v1/messages?format=ndjson"):
            async with http.get(path) as response:
                assert (response.status, (await response.json())["code"]) == (503, "storage")

    @pytest.mark.parametrize(("erase", "action", "who"), ERASURES)
    async def test_every_erasure_with_who_it_was(self, service: Served, erase: Erase, action: str, who: str) -> None:
        stored = await keep(service.service, "d-1", owner="shop")

        for _ in range(2):
            await erase(service.service.archive, stored.withdrawal_code)

        (entry,) = await logged(service, action=action)
        assert (entry.who, entry.dialogs) == (who, 1)

    async def test_what_officers_do(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")
        for kind in ("access", "portability", "erasure"):
            async with http.post("/v1/privacy-requests", json={"kind": kind, "customer_id": "c-1"}) as response:
                place = response.headers["Location"]
        await get(http, place)
        await get(http, "/v1/access-log")

        entries = [(entry.action, entry.who) for entry in await logged(service)]
        assert entries[:6] == [
            ("log.read", "local"),
            ("request.read", "local"),
            ("request.erasure", "local"),
            ("dialog.requested", "local"),
            ("request.portability", "local"),
            ("request.access", "local"),
        ]

    async def test_keys_and_notices(self, service: Served, tmp_path: Path) -> None:
        key = await service.service.api_keys.create("shop", ["data:read"], by=OPERATOR)
        key_id = key.split("_")[1]
        for _ in range(2):
            assert await service.service.api_keys.revoke(key_id, by=OPERATOR)
        for _ in range(2):
            assert await service.service.offer.retire("default-1", by=OPERATOR)
        assert not await service.service.api_keys.revoke("nobody's", by=OPERATOR)

        entries = [(entry.action, entry.subject, entry.who) for entry in await logged(service)]
        assert entries == [
            ("notice.retired", "default-1", "command line"),
            ("key.revoked", key_id, "command line"),
            ("key.created", key_id, "command line"),
            ("notice.added", "default-1", "service"),
        ]
