"""Who saw, erased or changed what (GDPR art. 32, 33): written down before it is done, and not to be altered since."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentful_server import cli
from consentful_server.access_log.chain import CUSTOMER, OPERATOR, Actor, Chain, Entry, Head, Link
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.log import AccessLog, Check, read_head
from consentful_server.access_log.store import Trace
from consentful_server.access_log.views import LogEntry
from consentful_server.archive.archive import Archive
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.errors import BadRequest
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.operations import backup
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.reading.streams import Stream
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep
from sealed import VAULT, open_store

SCIENTIST: Final = Actor("science", "credential", "r-1")


async def logged(service: Served, **trace: Any) -> list[LogEntry]:
    return (await service.service.access_log.search(Trace(**trace), limit=1000)).items


async def valid() -> None:
    """A credential that has neither expired nor been revoked."""


async def last(service: Served) -> LogEntry:
    return (await logged(service))[0]


async def post(http: ClientSession, path: str, **body: Any) -> Any:
    async with http.post(path, json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


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
        await service.service.pages.messages(Filter(), ReadScope(), order="newest", limit=1)
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


class TestForgetting:
    async def test_an_erased_customer_is_in_no_filter_and_the_log_still_holds(
        self, http: ClientSession, service: Served
    ) -> None:
        pseudonyms = {name: service.service.archive.pseudonym(name) for name in ("c-1", "c-2")}
        for number, name in enumerate(pseudonyms):
            await keep(service.service, f"d-{number}", customer_id=name)
        for name in pseudonyms.values():
            await get(http, "/v1/messages", customer=name)

        async with http.post("/v1/privacy-requests", json={"kind": "erasure", "customer_id": "c-1"}):
            pass

        values = [entry.values for entry in await logged(service, action="messages.read")]
        assert values == [{"customer": pseudonyms["c-2"]}, None]
        assert (await service.service.access_log.check()).fault is None
        files = b"".join(path.read_bytes() for path in (service.folder / "data").iterdir())
        assert pseudonyms["c-2"].encode() in files
        assert pseudonyms["c-1"].encode() not in files

    async def test_a_withdrawal_forgets_them_too(self, http: ClientSession, service: Served) -> None:
        stored = await keep(service.service, "d-1", customer_id="c-1")
        await get(http, "/v1/messages", customer=service.service.archive.pseudonym("c-1"))

        await service.service.archive.withdraw(stored.withdrawal_code)

        (entry,) = await logged(service, action="messages.read")
        assert (entry.filters, entry.values) == (("customer",), None)

    async def test_looking_for_an_erased_customer_leaves_no_new_trace(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", customer_id="c-1")
        pseudonym = service.service.archive.pseudonym("c-1")
        await service.service.privacy_requests.erase("c-1", by=OPERATOR)

        await get(http, "/v1/messages", customer=pseudonym)
        await get(http, "/v1/dialogs", customer=pseudonym)
        await post(http, "/v1/messages/search", customer_id="c-1", q="a word")
        await post(http, "/v1/access-log/search", customer_id="c-1")
        async with http.get("/v1/messages", params={"customer": pseudonym, "format": "ndjson"}) as response:
            await response.read()

        entries = [entry for entry in await logged(service) if "customer" in entry.filters]
        assert len(entries) == 5
        assert [entry.values for entry in entries] == [None] * 5
        assert rows_of(service, "ending_values") == 0
        assert (await service.service.access_log.check()).fault is None
        files = b"".join(path.read_bytes() for path in (service.folder / "data").iterdir())
        assert pseudonym.encode() not in files

    @pytest.mark.parametrize("form", [None, "ndjson"], ids=["page", "stream"])
    async def test_search_words_are_forgotten_with_the_first_erased_dialog_that_they_found(
        self, http: ClientSession, service: Served, form: str | None
    ) -> None:
        stored = [await keep(service.service, f"d-{name}", [f"a {name}"]) for name in ("parcel", "letter")]
        for word in ("parcel", "letter"):
            async with http.post("/v1/messages/search", json={"q": word} | ({"format": form} if form else {})) as found:
                assert word in await found.text()

        await service.service.archive.withdraw(stored[0].withdrawal_code)
        await Housekeeping(service.service).refresh()

        words = [entry.values.get("q") for entry in await logged(service) if entry.values]
        assert words == ["letter"]
        assert (await service.service.access_log.check()).fault is None

    async def test_an_erasure_request_forgets_search_words_before_it_is_answered(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", ["Jane Doe"])
        await post(http, "/v1/messages/search", q="jane doe")

        await service.service.privacy_requests.erase("c-1", by=OPERATOR)

        (entry,) = await logged(service, action="messages.read")
        assert (entry.filters, entry.values) == (("q",), None)

    async def test_words_of_a_stream_that_runs_are_kept(self, service: Served) -> None:
        await keep(service.service, "d-1", ["Jane Doe"])
        stream = Stream("ndjson", "messages", Filter(q="jane"), ReadScope(by=SCIENTIST), "stored")
        running = service.service.streams.run(stream, check=valid)
        await anext(running)

        await service.service.access_log.forget_words()

        (entry,) = await logged(service, action="messages.streamed")
        assert entry.values == {"q": "jane", "watermark": 1}
        await running.aclose()

    @pytest.mark.parametrize("form", [None, "ndjson"], ids=["page", "stream"])
    async def test_search_words_that_find_nothing_are_not_kept(
        self, http: ClientSession, service: Served, form: str | None
    ) -> None:
        await keep(service.service, "d-1")

        async with http.post("/v1/messages/search", json={"q": "Doe"} | ({"format": form} if form else {})) as found:
            await found.read()
        await service.service.access_log.forget_words()

        assert [entry.values for entry in await logged(service) if "q" in entry.filters] == [None]

    async def test_what_was_searched_for_ends_with_its_epoch_and_the_log_still_holds(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", ["Jane Doe"], bot="shop")
        await post(http, "/v1/messages/search", q="jane")
        await get(http, "/v1/messages", bot="shop", role="customer")
        await get(http, "/v1/messages", role="customer")
        copies = rows(service, "ending_values")

        assert await service.service.rotation.turn()

        assert [entry.values for entry in await logged(service, action="messages.read")] == [
            {"role": "customer"},
            None,
            None,
        ]
        assert rows_of(service, "ending_values") == 0
        assert (await service.service.access_log.check()).fault is None
        with closing(connect(service.folder / "data" / "consentful.db")) as db:  # what an earlier copy has
            db.executemany("INSERT INTO ending_values VALUES (?, ?, ?, ?)", copies)
        assert len(copies) == 2
        assert [entry.values for entry in await logged(service, action="messages.read")][1:] == [None, None]
        assert (await service.service.access_log.check()).fault is None

    async def test_no_copy_of_the_data_has_what_was_searched_for(
        self, http: ClientSession, service: Served, tmp_path: Path
    ) -> None:
        await keep(service.service, "d-1", ["Jane Doe"])
        await post(http, "/v1/messages/search", q="jane", customer_id="c-1")
        await get(http, "/v1/messages", role="customer")

        made = await backup.back_up(service.service, tmp_path / "copies", service.service.clock.now())
        there = Settings(data_dir=tmp_path / "there" / "data", keys_dir=tmp_path / "there" / "keys")
        backup.restore(tmp_path / "copies", made.name, backend_of(there.database, there.data_dir), there.keys_dir)

        sealed = rows(service, "ending_values")[0][-1]
        assert all(sealed not in path.read_bytes() for path in (tmp_path / "copies").rglob("*") if path.is_file())
        async with open_service(there, FakeClock()) as restored:
            found = await restored.access_log.search(Trace(action="messages.read"), limit=10)
            assert [entry.values for entry in found.items] == [{"role": "customer"}, None]
            assert (await restored.access_log.check()).fault is None

    def test_an_erased_value_cannot_be_found_by_guessing_even_with_the_key(self) -> None:
        commitments = Commitments(b"k" * 32, EpochSeals(VAULT))

        first, second = [commitments.make({"customer": "cus_1"}) for _ in range(2)]

        assert first.commitment != second.commitment
        assert commitments.open(["customer"], first.commitment, first.sealed) == {"customer": "cus_1"}
        assert commitments.open(["customer"], second.commitment, first.sealed) is None


def rows(service: Served, table: str) -> list[tuple[Any, ...]]:
    with closing(connect(service.folder / "data" / "consentful.db")) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def rows_of(service: Served, table: str) -> int:
    return len(rows(service, table))


ENTRIES: Final = 12


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose access log has some entries; to be copied."""
    folder = tmp_path_factory.mktemp("written")

    async def write(access_log: AccessLog) -> None:
        for number in range(1, ENTRIES + 1):
            wanted = ({"purpose": "research"}, {"language": "en", "q": f"word {number}"}, None)[number % 3]
            by = (SCIENTIST, CUSTOMER)[number % 2]
            await access_log.write(by, "messages.read", wanted=wanted, rows=number, dialogs=[number, 7], subject=None)

    run(folder, write)
    return folder


def run(folder: Path, work: Callable[[AccessLog], Coroutine[Any, Any, Any]]) -> Any:
    async def within() -> Any:
        store = await open_store(folder / "log.db", FakeClock())
        try:
            commitments = Commitments(b"v" * 32, EpochSeals(VAULT))
            return await work(AccessLog(store.access_log, Chain(b"c" * 32), commitments, FakeClock()))
        finally:
            await store.close()

    return asyncio.run(within())


def check(folder: Path, anchor: Head | None = None) -> Check:
    return run(folder, lambda access_log: access_log.check(anchor))


COLUMNS: Final = {
    "at": 1,
    "kind": "operator",
    "who": "nobody",
    "action": "dialog.read",
    "request": "r-2",
    "subject": "s",
    "filters": "role",
    "commitment": b"0" * 32,
    "rows": 99,
    "dialogs": b"",
    "link": b"1" * 32,
    "number": 1000,
}
numbers = st.integers(1, ENTRIES)
mutations = st.one_of(
    st.tuples(
        st.just("UPDATE access_log SET {column} = ? WHERE number = ?"), st.sampled_from(sorted(COLUMNS)), numbers
    ),
    st.tuples(st.just("DELETE FROM access_log WHERE number = ?"), st.none(), numbers),
    st.tuples(
        st.just(
            "INSERT INTO access_log SELECT {number}, at, kind, who, action, request, subject, filters, commitment,"
            " rows, dialogs, link FROM access_log WHERE number = ?"
        ),
        st.sampled_from([-1, 0, ENTRIES + 1, ENTRIES + 2]),
        numbers,
    ),
    st.tuples(st.just("swap"), numbers, numbers),
    st.tuples(st.just("UPDATE access_values SET sealed = ? WHERE number = ?"), st.just("sealed"), numbers),
    st.tuples(st.just("UPDATE ending_values SET sealed = ? WHERE number = ?"), st.just("sealed"), numbers),
    st.tuples(
        st.just("UPDATE access_head SET {head} WHERE only = ?"),
        st.sampled_from(
            ["number = 11", "number = 13", "number = 0", "number = -1", "link = zeroblob(32)", "seal = zeroblob(32)"]
        ),
        st.just(1),
    ),
    st.tuples(st.just("DELETE FROM access_head WHERE only = ?"), st.none(), st.just(1)),
    st.tuples(st.just("rewind"), st.none(), numbers),
)


@contextmanager
def altering(path: Path) -> Generator[sqlite3.Connection]:
    """Commit what the block does to the database, and close it: sqlite3's own context manager leaves it open."""
    with closing(sqlite3.connect(path)) as db, db:
        yield db


def mutate(path: Path, mutation: tuple[str, Any, int]) -> bool:
    """Alter the log as somebody who can write the file could; False if that altered nothing."""
    how, what, number = mutation
    with altering(path) as db:
        db.execute("DROP TRIGGER access_log_stays")
        db.execute("DROP TRIGGER access_log_holds")
        if how == "swap":
            one, other = (
                db.execute("SELECT * FROM access_log WHERE number = ?", (it,)).fetchone() for it in (what, number)
            )
            db.execute("DELETE FROM access_log WHERE number IN (?, ?)", (what, number))
            marks = ", ".join("?" * len(one))
            db.execute(f"INSERT INTO access_log VALUES ({marks})", (what, *other[1:]))
            if what != number:
                db.execute(f"INSERT INTO access_log VALUES ({marks})", (number, *one[1:]))
            return what != number
        if how == "rewind":  # cut the end off, and claim that it ended there; only the head's seal is in the way
            db.execute("DELETE FROM access_log WHERE number > ?", (number,))
            link = db.execute("SELECT link FROM access_log WHERE number = ?", (number,)).fetchone()[0]
            db.execute("UPDATE access_head SET number = ?, link = ?", (number, link))
            return number != ENTRIES
        if "{column}" in how:
            return db.execute(how.format(column=what), (COLUMNS[what], number)).rowcount == 1
        if "{head}" in how:
            return db.execute(how.format(head=what), (number,)).rowcount == 1
        if what == "sealed":
            return db.execute(how, (b"s" * 100, number)).rowcount == 1
        return db.execute(how.format(number=what), (number,)).rowcount == 1


class TestTheChain:
    def test_an_untouched_log_holds_up_to_its_head(self, written: Path) -> None:
        found = check(written)

        assert (found.fault, found.entries, found.head.number) == (None, ENTRIES, ENTRIES)
        assert check(written, found.head).fault is None

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(mutation=mutations)
    def test_any_single_alteration_is_found(
        self, written: Path, tmp_path_factory: pytest.TempPathFactory, mutation: tuple[str, Any, int]
    ) -> None:
        folder = tmp_path_factory.mktemp("altered", numbered=True)
        shutil.copytree(written, folder, dirs_exist_ok=True)

        altered = mutate(folder / "log.db", mutation)

        assert (check(folder).fault is not None) == altered, mutation

    def test_a_rewritten_end_is_found_by_whoever_wrote_the_head_down(self, written: Path, tmp_path: Path) -> None:
        shutil.copytree(written, tmp_path, dirs_exist_ok=True)
        anchored = check(written).head
        with altering(tmp_path / "log.db") as db:  # a thief of all keys starts anew
            db.execute("DROP TRIGGER access_log_stays")
            db.execute("DELETE FROM access_log")
            db.execute("DELETE FROM access_values")
            db.execute("DELETE FROM ending_values")
            db.execute("UPDATE access_head SET number = 0, link = zeroblob(32), seal = x''")

        assert check(tmp_path).fault is None
        assert check(tmp_path, anchored).fault == f"the log ends before entry {ENTRIES}"
        for _ in range(ENTRIES):
            run(tmp_path, lambda access_log: access_log.write(OPERATOR, "log.read"))
        assert check(tmp_path, anchored).fault == f"entry {ENTRIES} differs from the anchor"

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(mutation=mutations)
    def test_no_alteration_stops_what_comes_after_or_is_covered_by_it(
        self, written: Path, tmp_path_factory: pytest.TempPathFactory, mutation: tuple[str, Any, int]
    ) -> None:
        folder = tmp_path_factory.mktemp("altered", numbered=True)
        shutil.copytree(written, folder, dirs_exist_ok=True)

        altered = mutate(folder / "log.db", mutation)
        for _ in range(2):
            run(folder, lambda access_log: access_log.write(OPERATOR, "log.read"))

        assert (check(folder).fault is not None) == altered, mutation

    def test_the_store_itself_changes_and_removes_nothing(self, written: Path, tmp_path: Path) -> None:
        shutil.copytree(written, tmp_path, dirs_exist_ok=True)
        with altering(tmp_path / "log.db") as db:
            for sql in ("DELETE FROM access_log", "UPDATE access_log SET rows = 0"):
                with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                    db.execute(sql)

    async def test_many_at_once_and_several_processes_make_one_chain(self, tmp_path: Path) -> None:
        first, second = [await open_store(tmp_path / "log.db", FakeClock()) for _ in range(2)]
        books = [
            AccessLog(store.access_log, Chain(b"c" * 32), Commitments(b"v" * 32, EpochSeals(VAULT)), FakeClock())
            for store in (first, second)
        ]

        await asyncio.gather(*(books[number % 2].write(SCIENTIST, "log.read", rows=number) for number in range(100)))

        found = await books[0].check()
        assert (found.fault, found.entries) == (None, 100)
        for store in (first, second):
            await store.close()

    def test_another_key_makes_another_chain(self) -> None:
        entry = Entry(
            number=1,
            at=0,
            kind="service",
            who="service",
            action="log.read",
            request=None,
            subject=None,
            filters=(),
            commitment=None,
            rows=0,
            dialogs=None,
        )
        ours, theirs = Chain(b"a" * 32), Chain(b"b" * 32)
        link, head = theirs.follow(Head(), entry)

        assert ours.breaks(Head(), [link]) == (Head(), 1)
        assert theirs.breaks(Head(), [link]) == (head, None)
        assert not ours.is_genuine(head)
        assert ours.breaks(Head(), [Link(entry, bytes(32))])[1] == 1


async def test_the_head_is_in_the_servers_log_so_that_it_is_kept_elsewhere(
    service: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "consentful.housekeeping"):
        await Housekeeping(service.service).anchor()

    (record,) = [record for record in caplog.records if record.message == "access log"]
    head = read_head(vars(record)["head"])
    assert (await service.service.access_log.check(head)).fault is None
    assert head.number == 1


class TestTheCommand:
    def test_it_prints_the_head_and_takes_it_back(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        places = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]

        assert cli.run(["migrate", *places]) == 0
        assert cli.run(["verify", "--log", *places]) == 0
        head = capsys.readouterr().out.split()[-1]
        assert cli.run(["keys", "create", "--name", "n", "--scope", "privacy", *places]) == 0
        assert cli.run(["verify", "--log", "--head", head, *places]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith("Verified 2 entries.")

        with altering(tmp_path / "data" / "consentful.db") as db:
            db.execute("DROP TRIGGER access_log_holds")
            db.execute("UPDATE access_log SET who = 'nobody' WHERE number = 2")
        assert cli.run(["verify", "--log", *places]) == 1
        assert "entry 2 was altered, removed or inserted" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["", "12", "12:", "x:00", "-1:" + "00" * 32, "1:00", "1:" + "0g" * 32])
    def test_what_is_no_head_is_refused(self, text: str) -> None:
        with pytest.raises(BadRequest):
            read_head(text)
