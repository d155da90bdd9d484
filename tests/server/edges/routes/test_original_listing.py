"""The original contract: the stored messages, newest first."""

import pytest
from aiohttp import ClientSession
from yarl import URL

from consentful_server.testing import FakeClock, Served
from kept import get, keep

from .original import JSON, decide, push, walked


class TestListing:
    @pytest.mark.parametrize("path", ["/data", "/data/"])
    async def test_nothing_is_an_empty_array_without_a_redirect(self, http: ClientSession, path: str) -> None:
        async with http.get(path, allow_redirects=False) as response:
            assert (response.status, response.content_type) == (200, JSON)
            assert await response.json() == []

    @pytest.mark.parametrize("path", ["/data", "/data/"])
    async def test_a_datum_has_the_original_fields_newest_first(
        self, http: ClientSession, clock: FakeClock, path: str
    ) -> None:
        await push(http, "one", language="EN")
        clock.advance(60)
        await push(http, "two", language="pt-br")
        await decide(http, True)

        two, one = await get(http, path)

        assert one == {
            "customerId": "c-1",
            "dialogId": "d-1",
            "text": "one",
            "language": "EN",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        assert (two["text"], two["language"], two["timestamp"]) == ("two", "pt-br", "2026-01-01T00:01:00Z")

    @pytest.mark.parametrize(
        ("spelt", "asked"),
        [
            ("en_US", ["en_US", "en-us", "EN", "en"]),
            ("English", ["english", "ENGLISH"]),
            ("Schweizer Deutsch", ["schweizer deutsch", "SCHWEIZER DEUTSCH"]),
            ("Español", ["español", "ESPAN\u0303OL"]),
            ("STRASSENDEUTSCH", ["straßendeutsch"]),
            ("zh_hant_tw", ["zh-Hant", "ZH"]),
            ("notalanguage", ["NotALanguage"]),
            ("en-", ["EN-"]),
            ("日本語", ["日本語"]),
            ("x" * 35, ["X" * 35]),
            ("../<b>\t;", ["../<B>\t;"]),
        ],
    )
    async def test_a_language_is_any_text_kept_as_spelt_and_compared_without_case(
        self, http: ClientSession, spelt: str, asked: list[str]
    ) -> None:
        await push(http, language=spelt)
        assert (await decide(http, True))[0] == 200

        for language in asked:
            assert [datum["language"] for datum in await get(http, "/data", language=language)] == [spelt]
        assert await get(http, "/data", language="other") == []

    async def test_undecided_data_is_not_listed(self, http: ClientSession) -> None:
        await push(http)

        assert await get(http, "/data") == []

    async def test_what_was_said_live_is_listed_as_well(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["live"])

        assert [datum["text"] for datum in await get(http, "/data")] == ["live"]

    async def test_filters_are_all_fulfilled(self, http: ClientSession) -> None:
        for customer, dialog, language in (("c-1", "d-1", "EN"), ("c-1", "d-2", "de-CH"), ("c-2", "d-3", "DE")):
            await push(http, dialog, f"/data/{customer}/{dialog}", language=language)
            await decide(http, True, dialog)

        async def listed(**asked: str) -> list[str]:
            return [datum["text"] for datum in await get(http, "/data", **asked)]

        assert await listed() == ["d-3", "d-2", "d-1"]
        assert await listed(language="de") == await listed(language="DE") == ["d-3", "d-2"]
        assert await listed(customerId="c-1") == await listed(customer_id="c-1") == ["d-2", "d-1"]
        assert await listed(language="de", customerId="c-1") == ["d-2"]
        assert await listed(language="de", customerId="nobody") == []
        assert await listed(customerId="c-1", customer_id="c-1") == ["d-2", "d-1"]
        assert await listed(limit="1") == ["d-3"]
        assert await listed(limit="1", offset="1") == ["d-2"]
        assert await listed(offset="3") == []

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("offset=-1", "offset"),
            ("offset=x", "offset"),
            ("offset=99999999999999999999999", "offset"),
            ("language=", "language"),
            ("language=" + "x" * 36, "language"),
            ("customerId=", "customerId"),
            ("customer_id=", "customer_id"),
            ("customerId=a&customer_id=b", "customer_id"),
            ("limit=1&limit=2", "limit"),
            ("dialogId=d-1", "dialogId"),
        ],
    )
    async def test_a_malformed_parameter_is_named(self, http: ClientSession, query: str, named: str) -> None:
        async with http.get(f"/data?{query}") as response:
            assert (response.status, (await response.json())["parameter"]) == (400, named)

    async def test_an_offset_far_beyond_the_end_is_an_empty_array(self, http: ClientSession) -> None:
        assert await get(http, "/data", offset=str(2**53)) == []

    async def test_following_the_link_header_walks_all_pages(self, http: ClientSession, service: Served) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", [f"{number} {seq}" for seq in range(3)], language="en")
        whole = [datum["text"] for datum in await get(http, "/data", limit=1000)]

        assert await walked(http, "/data?limit=2&language=EN") == whole
        assert await walked(http, "/data/?limit=2&language=EN&customerId=c-1") == whole
        assert await walked(http, "/data?limit=4&offset=3") == whole[3:]
        assert len(whole) == 9

    async def test_rows_that_arrive_meanwhile_are_neither_shown_nor_shift_what_follows(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(4):
            await keep(service.service, f"d-{number}", [str(number)])
            clock.advance(1)

        async def arrive(page: int) -> None:
            clock.advance(1)
            await keep(service.service, f"late-{page}", [f"late {page}"])

        assert await walked(http, "/data?limit=1", arrive) == ["3", "2", "1", "0"]

    async def test_what_is_erased_meanwhile_shifts_nothing_either(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(4):
            await keep(service.service, f"d-{number}", [str(number)])
            clock.advance(1)

        async def erase(page: int) -> None:
            if page == 0:
                await service.service.archive.erase("d-3", "requested")

        assert await walked(http, "/data?limit=1", erase) == ["3", "2", "1", "0"]

    @pytest.mark.parametrize(
        ("changed", "named"),
        [({"customerId": "c-2"}, "cursor"), ({"offset": "1"}, "offset"), ({"cursor": "x"}, "cursor")],
    )
    async def test_a_cursor_is_good_for_its_own_question_alone(
        self, http: ClientSession, service: Served, changed: dict[str, str], named: str
    ) -> None:
        await keep(service.service, "d-1", ["one", "two"])
        async with http.get("/data?limit=1") as response:
            cursor = URL(str(response.links["next"]["url"])).query["cursor"]

        async with http.get("/data", params={"limit": "1", "cursor": cursor} | changed) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, named)
