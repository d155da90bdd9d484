"""Statistics: counters that agree with what is kept, whatever happened to it."""

import asyncio
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentful.wire import Consent, Discarded, Message, Stored
from consentful_server.consent.notices import Wording
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served, serve
from kept import bearer, eventually, get, keep
from live import Live


async def counts(http: ClientSession, **params: Any) -> list[tuple[Any, ...]]:
    page = await get(http, "/v1/stats", **params)
    return [tuple(item.values()) for item in page["items"]]


class TestCounts:
    async def test_nothing_is_counted_as_nothing(self, http: ClientSession) -> None:
        assert await get(http, "/v1/stats") == {"items": [], "totals": {"dialogs": 0, "messages": 0}}

    async def test_by_day_and_language(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep(service.service, "d-1", [Message(1, "Hi"), Message(2, "Hallo", language="de")], language="en")
        clock.advance(86_400)
        await keep(service.service, "d-2", ["Ja"] * 3, language="de")
        await keep(service.service, "d-3")
        two = f"{clock.now():%Y-%m-%d}"
        clock.advance(-86_400)
        one = f"{clock.now():%Y-%m-%d}"

        assert await counts(http, by="language,day") == [
            (two, None, 1, 1),
            (one, "de", 0, 1),
            (two, "de", 1, 3),
            (one, "en", 1, 1),
        ]
        assert await counts(http, by="day", language="DE") == [(one, 0, 1), (two, 1, 3)]
        assert await counts(http, by="day", since=two) == [(two, 2, 4)]
        assert await counts(http, by="day", until=two) == [(one, 1, 2)]

    async def test_by_role_there_are_messages_only(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", [Message(1, "Hi"), Message(2, "Hello", role="bot"), Message(3, "Bye")])

        page = await get(http, "/v1/stats", by="role")

        assert page["items"] == [{"role": "bot", "messages": 1}, {"role": "customer", "messages": 2}]
        assert page["totals"] == {"dialogs": 1, "messages": 3}

    @pytest.mark.parametrize(
        ("messages", "length"), [(1, "1-2"), (3, "3-5"), (10, "6-10"), (11, "11-20"), (21, "21-50"), (51, "51+")]
    )
    async def test_by_length(self, http: ClientSession, service: Served, messages: int, length: str) -> None:
        await keep(service.service, "d-1", ["Hi"] * messages, bot="shop")

        assert await counts(http, by="length,bot") == [("shop", length, 1, messages)]
        assert await counts(http, by="length,role") == [("customer", length, messages)]

    async def test_a_dialog_counts_for_each_of_its_purposes_and_once_in_all(
        self, http: ClientSession, service: Served, two_purposes: Wording
    ) -> None:
        await keep(service.service, "d-1")
        await keep(service.service, "d-2", purposes=["research"])

        page = await get(http, "/v1/stats", by="purpose")

        assert page["items"] == [
            {"purpose": "improve", "dialogs": 1, "messages": 1},
            {"purpose": "research", "dialogs": 2, "messages": 2},
        ]
        assert page["totals"] == {"dialogs": 2, "messages": 2}
        assert await counts(http, by="", purpose="improve") == [(1, 1)]

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_a_key_bound_to_a_purpose_counts_what_it_may_read(
        self, http: ClientSession, service: Served, two_purposes: Wording
    ) -> None:
        await keep(service.service, "d-1", purposes=["improve"])
        await keep(service.service, "d-2")
        lab = await service.service.api_keys.create("lab", ["data:read"], ["research"])

        page = await get(http, "/v1/stats", token=lab, by="purpose")

        assert page == {
            "items": [{"purpose": "research", "dialogs": 1, "messages": 1}],
            "totals": {"dialogs": 1, "messages": 1},
        }

    @pytest.mark.parametrize(
        ("params", "named"),
        [
            ({"by": "colour"}, "by"),
            ({"by": "day,"}, "by"),
            ({"by": "day, role"}, "by"),
            ({"since": "yesterday"}, "since"),
            ({"until": "2026-13-01"}, "until"),
            ({"language": "not a language"}, "language"),
            ({"q": "x"}, "q"),
        ],
    )
    async def test_what_cannot_be_counted_is_named(
        self, http: ClientSession, params: dict[str, str], named: str
    ) -> None:
        async with http.get("/v1/stats", params=params) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, named)


steps = st.lists(
    st.tuples(
        st.sampled_from(["keep", "erase"]),
        st.integers(0, 5),
        st.sampled_from([None, "en", "de"]),
        st.sampled_from([None, "shop"]),
        st.integers(1, 4),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps)
def test_counters_agree_with_what_is_kept(steps: list[tuple[str, int, str | None, str | None, int]]) -> None:
    async def run() -> None:
        async with serve() as served, ClientSession(served.url) as http:
            erased: set[str] = set()
            kept: dict[str, tuple[str | None, str | None, int]] = {}
            for what, number, language, bot, messages in steps:
                dialog_id = f"d-{number}"
                if what == "erase" and dialog_id in kept:
                    await served.service.archive.erase(dialog_id, "requested")
                    erased.add(dialog_id)
                    del kept[dialog_id]
                elif what == "keep" and dialog_id not in erased and dialog_id not in kept:
                    await keep(served.service, dialog_id, ["Hi"] * messages, language=language, bot=bot)
                    kept[dialog_id] = (language, bot, messages)
            expected: Counter[tuple[str | None, str | None]] = Counter()
            for language, bot, messages in kept.values():
                expected[language, bot] += messages
            items = (await get(http, "/v1/stats", by="language,bot"))["items"]
            assert {(item["language"], item["bot"]): item["messages"] for item in items} == dict(expected)
            assert sum(item["dialogs"] for item in items) == len(kept)

    asyncio.run(run())


class TestOutcomes:
    async def test_each_end_is_counted_once(self, http: ClientSession, service: Served, dial: Any) -> None:
        for number, granted in enumerate((True, True, False)):
            live: Live = await dial()
            await live.open(customer_id=f"c-{number}", bot="shop")
            await live.say("Hi")
            await live.send(Consent(granted, 1))
            await live.receive(Stored if granted else Discarded)
            await live.closed()
        live = await dial()
        await live.open(customer_id="c-9")
        await live.socket.close()
        await eventually(lambda: len(service.service.registry) == 0)

        items = (await get(http, "/v1/stats/outcomes"))["items"]
        assert [(it["bot"], it["granted"], it["declined"], it["dropped"]) for it in items] == [
            (None, 0, 0, 1),
            ("shop", 2, 1, 0),
        ]
        (shop,) = (await get(http, "/v1/stats/outcomes", bot="shop"))["items"]
        await service.service.archive.erase((await get(http, "/v1/dialogs"))["items"][0]["dialog_id"], "requested")
        assert (await get(http, "/v1/stats/outcomes", bot="shop"))["items"] == [shop], "erasures change no outcome"

    async def test_a_store_that_fails_loses_no_count(self, service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        async def fails(*_: object) -> None:
            raise ZeroDivisionError

        service.service.statistics.ended("shop", ("n-1", "en"), "idle")
        with monkeypatch.context() as patched:
            patched.setattr(service.service.store.counters, "add_outcomes", fails)
            with pytest.raises(ZeroDivisionError):
                await service.service.statistics.flush()

        async with ClientSession(service.url, headers=bearer(None)) as http:
            (item,) = (await get(http, "/v1/stats/outcomes"))["items"]
        assert (item["bot"], item["dropped"]) == (None, 1)

    async def test_a_chatbot_is_named_only_while_a_consented_dialog_names_it(
        self, http: ClientSession, service: Served
    ) -> None:
        async def ended(*outcomes: str) -> list[tuple[Any, ...]]:
            for outcome in outcomes:
                service.service.statistics.ended("bot of Jane Doe", ("n-1", "en"), outcome)
            items = (await get(http, "/v1/stats/outcomes"))["items"]
            return [(it["bot"], it["granted"], it["declined"], it["dropped"]) for it in items]

        nobody_agreed = await ended("discarded", "idle")
        before = files(service)
        await keep(service.service, "d-1", bot="bot of Jane Doe")
        somebody_did = await ended("stored", "discarded")
        within = files(service)
        await service.service.archive.erase("d-1", "requested")

        assert nobody_agreed == [(None, 0, 1, 1)]
        assert b"Jane Doe" not in before
        assert somebody_did == [(None, 0, 1, 1), ("bot of Jane Doe", 1, 1, 0)]
        assert b"Jane Doe" in within
        assert await ended() == [(None, 1, 2, 1)]
        assert b"Jane Doe" not in files(service)

    async def test_outcomes_of_a_chatbot_survive_a_narrower_consent(
        self, http: ClientSession, service: Served, two_purposes: Wording
    ) -> None:
        await keep(service.service, "d-1", bot="shop")
        service.service.statistics.ended("shop", ("n-1", "en"), "stored")
        await service.service.statistics.flush()

        await keep(service.service, "d-1", bot="shop", purposes=["improve"])

        (item,) = (await get(http, "/v1/stats/outcomes"))["items"]
        assert (item["bot"], item["granted"]) == ("shop", 1)


class TestForgetting:
    async def test_labels_of_erased_dialogs_are_in_no_counter(self, http: ClientSession, service: Served) -> None:
        labelled = Message(2, "Hi", language="de-x-janedoe")
        await keep(service.service, "d-1", ["Hi", labelled], bot="bot of Jane Doe", language="en-x-janedoe")
        await keep(service.service, "d-2", ["Hi", labelled])
        await keep(service.service, "d-3", bot="shop")
        within = files(service)

        for dialog_id in ("d-1", "d-2"):
            await service.service.archive.erase(dialog_id, "requested")

        assert b"x-janedoe" in within
        assert b"Jane Doe" not in files(service)
        assert b"x-janedoe" not in files(service)
        assert await counts(http, by="bot,language") == [(None, "shop", 1, 1)]
        with closing(connect(service.folder / "data" / "consentful.db")) as db:
            rows = [
                db.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("dialog_counts", "message_counts")
            ]
        assert rows == [(1,), (1,)]

    async def test_a_narrower_consent_leaves_no_counter_of_nothing(
        self, service: Served, two_purposes: Wording
    ) -> None:
        await keep(service.service, "d-1")

        await keep(service.service, "d-1", purposes=["improve"])

        with closing(connect(service.folder / "data" / "consentful.db")) as db:
            assert db.execute("SELECT purposes FROM dialog_counts").fetchall() == [('["improve"]',)]


def files(service: Served) -> bytes:
    """Return the content of all data files."""
    return b"".join(path.read_bytes() for path in (service.folder / "data").iterdir())
