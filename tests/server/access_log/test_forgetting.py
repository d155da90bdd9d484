"""What was searched for is forgotten: with the customer, with what it found, and with its epoch (GDPR art. 17)."""

from collections.abc import Awaitable, Callable, Collection
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import OPERATOR
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.store import Logged, Trace
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.operations import backup
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.reading.streams import Stream
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served
from kept import get, keep
from sealed import VAULT

from .entries import SCIENTIST, logged, post, rows, rows_of, valid


async def _told(work: Callable[[], Awaitable[None]], told: list[int]) -> list[int]:
    """Return what the list gets while the work runs."""
    told.clear()
    await work()
    return told.copy()


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

    async def test_words_of_a_stream_that_found_nothing_are_forgotten_when_it_has_ended(self, service: Served) -> None:
        await keep(service.service, "d-1")
        stream = Stream("ndjson", "messages", Filter(q="Doe"), ReadScope(by=SCIENTIST), "stored")
        running = service.service.streams.run(stream, check=valid)
        await anext(running)
        await service.service.access_log.forget_words()

        async for _ in running:
            pass
        await service.service.access_log.forget_words()

        assert [entry.values for entry in await logged(service) if "q" in entry.filters] == [None]

    async def test_searches_are_judged_again_when_a_dialog_was_erased_and_not_otherwise(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judged: list[int] = []
        store = service.service.store.access_log
        searches = store.searches

        async def counted(filters: Collection[str], after: int, limit: int) -> list[Logged]:
            found = await searches(filters, after, limit)
            judged.extend(logged.link.entry.number for logged in found)
            return found

        monkeypatch.setattr(store, "searches", counted)
        stored = [await keep(service.service, f"d-{name}", [f"a {name}"]) for name in ("parcel", "letter")]
        for word in ("parcel", "letter"):
            await post(http, "/v1/messages/search", q=word)
        forget = service.service.access_log.forget_words

        first = await _told(forget, judged)
        await get(http, "/v1/messages", bot="shop")
        again = await _told(forget, judged)
        await post(http, "/v1/messages/search", q="a")
        new = await _told(forget, judged)
        await service.service.archive.withdraw(stored[0].withdrawal_code)
        after_an_erasure = await _told(forget, judged)

        assert (len(first), again, len(new), after_an_erasure) == (2, [], 1, [*first, *new])
        words = [entry.values and entry.values["q"] for entry in await logged(service) if "q" in entry.filters]
        assert words == [None, "letter", None]

    async def test_a_dialog_that_is_erased_while_searches_are_judged_is_not_missed(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, stored = service.service.store.access_log, await keep(service.service, "d-1", ["Jane Doe"])
        await post(http, "/v1/messages/search", q="jane")
        searches = store.searches

        async def meanwhile(filters: Collection[str], after: int, limit: int) -> list[Logged]:
            found = await searches(filters, after, limit)
            await service.service.archive.withdraw(stored.withdrawal_code)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(store, "searches", meanwhile)
            await service.service.access_log.forget_words()
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
