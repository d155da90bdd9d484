"""What an officer looks at: holdings of a customer, recipients, the retention calendar, notices, and receipts."""

from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import OPERATOR, Actor
from consentful_server.auth.read_scope import ReadScope
from consentful_server.consent.notices import Wording
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep
from live import Live

READER = ReadScope(by=Actor("science"))


async def post(http: ClientSession, path: str, status: int = 200, **body: Any) -> Any:
    async with http.post(path, json=body) as response:
        assert response.status == status, await response.text()
        return await response.json()


class TestHoldings:
    async def test_what_is_stored_of_a_customer_is_counted_and_listed_newest_first(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(3):
            clock.advance(60)
            await keep(service.service, f"d-{number}", ["Hi", "Hello"], customer_id="c-1")
        await keep(service.service, "other", customer_id="c-2")

        held = await post(http, "/v1/customers/search", customer_id="c-1")

        assert (held["dialogs"], held["messages"]) == (3, 6)
        assert [it["dialog_id"] for it in held["items"]] == ["d-2", "d-1", "d-0"]
        assert set(held["items"][0]) == {"dialog_id", "messages", "purposes", "stored_at", "expires_at"}
        assert await post(http, "/v1/customers/search", customer=held["customer"]) == held

    async def test_at_most_a_hundred_dialogs_are_listed_and_all_are_counted(
        self, http: ClientSession, service: Served
    ) -> None:
        for number in range(101):
            await keep(service.service, f"d-{number}")

        held = await post(http, "/v1/customers/search", customer_id="c-1")

        assert (held["dialogs"], len(held["items"])) == (101, 100)
        assert held["items"][0]["dialog_id"] == "d-100"

    async def test_nothing_stored_is_an_answer_and_leaves_no_trace_of_whom(self, http: ClientSession) -> None:
        held = await post(http, "/v1/customers/search", customer_id="nobody")

        assert (held["dialogs"], held["items"]) == (0, [])
        entry = (await get(http, "/v1/access-log"))["items"][0]
        assert (entry["action"], entry["filters"], entry["values"]) == ("customer.read", ["customer"], None)

    @pytest.mark.parametrize("body", [{}, {"customer_id": "c-1", "customer": "cus_" + "a" * 26}, {"customer": "c-1"}])
    async def test_one_customer_is_named(self, http: ClientSession, body: dict[str, str]) -> None:
        assert (await post(http, "/v1/customers/search", 400, **body))["code"] == "bad_request"

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_a_key_for_some_purposes_sees_dialogs_of_those_alone(
        self, http: ClientSession, service: Served, two_purposes: Wording
    ) -> None:
        for purpose in two_purposes.purposes:
            await keep(service.service, purpose, purposes=[purpose])
        token = await service.service.api_keys.create("o", ["privacy"], ["research"], None, by=OPERATOR)

        async with http.post("/v1/customers/search", json={"customer_id": "c-1"}, headers=bearer(token)) as response:
            held = await response.json()

        assert [it["dialog_id"] for it in held["items"]] == ["research"]


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
@pytest.mark.parametrize("path", ["/v1/recipients", "/v1/retention", "/v1/notices"])
async def test_what_tells_of_every_purpose_is_refused_to_a_key_for_some(
    http: ClientSession, service: Served, path: str
) -> None:
    token = await service.service.api_keys.create("o", ["privacy"], ["research"], None, by=OPERATOR)

    async with http.get(path, headers=bearer(token)) as response:
        assert response.status == 403


class TestRecipients:
    async def test_art_19_who_has_not_read_of_an_erasure_is_told_with_its_age(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}")
        await service.service.pages.dialog("d-0", READER)
        await service.service.pages.dialog("d-1", READER)
        await service.service.pages.dialog("d-0", ReadScope(by=Actor("other")))
        erased_at = clock.now()
        await service.service.archive.erase("d-1", "requested")
        clock.advance(60)
        await service.service.archive.erase("d-2", "requested")

        other, science = (await get(http, "/v1/recipients"))["items"]

        assert (other["who"], other["dialogs"], other["erased"], other["unconfirmed_since"]) == ("other", 1, 0, None)
        assert (science["dialogs"], science["erased"], science["unconfirmed"]) == (2, 1, 1)
        assert science["unconfirmed_since"] == erased_at.isoformat().replace("+00:00", "Z")
        page = await service.service.feed.read(0, 10, READER, of_everyone=False)
        await service.service.feed.read(page.place, 10, READER, of_everyone=False)
        _, science = (await get(http, "/v1/recipients"))["items"]
        assert (science["erased"], science["unconfirmed"], science["unconfirmed_since"]) == (1, 0, None)

    async def test_art_19_an_export_that_holds_an_erased_dialog_is_listed(
        self, http: ClientSession, service: Served
    ) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}")
        async with http.get("/v1/messages?format=ndjson") as response:
            export = response.headers["Export-Id"]
            await response.read()
        assert [it["exports"] for it in (await get(http, "/v1/recipients"))["items"]] == [[]]

        await service.service.archive.erase("d-1", "requested")

        (local,) = (await get(http, "/v1/recipients"))["items"]
        assert local["exports"] == [{"id": export, "dialogs": 3, "erased": 1, "unconfirmed": 1}]


async def test_the_calendar_counts_what_expires_on_each_day(
    http: ClientSession, service: Served, two_purposes: Wording, clock: FakeClock
) -> None:
    assert await get(http, "/v1/retention") == {"items": [], "overdue": 0, "purge": "running"}
    await keep(service.service, "d-1")
    await keep(service.service, "d-2")
    day = (clock.now() + timedelta(days=30)).date().isoformat()

    assert (await get(http, "/v1/retention"))["items"] == [{"day": day, "dialogs": 2}]
    clock.advance(timedelta(days=30).total_seconds())
    assert (await get(http, "/v1/retention"))["overdue"] == 2


async def test_notices_tell_what_the_customers_decided_who_were_shown_them(http: ClientSession, live: Live) -> None:
    before = (await get(http, "/v1/notices"))["items"]
    await live.open(language="de")
    await live.say("Hallo")
    await live.decline()

    after = (await get(http, "/v1/notices"))["items"]

    assert [it["opened"] for it in before] == [0] * len(before)
    assert all(it["is_on_offer"] and it["retired_at"] is None for it in after)
    assert {it["notice"]["language"]: (it["opened"], it["declined"]) for it in after if it["opened"]} == {"de": (1, 1)}


class TestReceipts:
    async def test_a_receipt_is_verified_and_compared_with_what_is_stored(
        self, http: ClientSession, service: Served
    ) -> None:
        receipt = (await keep(service.service, "d-1")).receipt

        found = await post(http, "/v1/receipts/verify", receipt=f'"{receipt[:40]}\n{receipt[40:]}"')
        assert (found["content"], found["claims"]["jti"]) == ("matches", "d-1")
        report = (await post(http, "/v1/privacy-requests", 201, kind="erasure", customer_id="c-1"))["report"]

        assert (await post(http, "/v1/receipts/verify", receipt=receipt))["content"] == "erased"
        assert (await post(http, "/v1/receipts/verify", receipt=report))["content"] == "erased"

    async def test_a_receipt_is_read_as_people_paste_it(self, http: ClientSession, service: Served) -> None:
        receipt = (await keep(service.service, "d-1")).receipt
        lines = [receipt[start : start + 72] for start in range(0, len(receipt), 72)]

        for text in (
            "> " + "\r\n> ".join(lines),
            ">> " + "\n>> ".join(lines),
            f'{{"receipt": "{receipt}"}}',
            f"Receipt: {receipt}",
            f"«{receipt}»",
        ):
            assert (await post(http, "/v1/receipts/verify", receipt=text))["content"] == "matches"

    @pytest.mark.parametrize("receipt", ["x", "a.b.c", "contraband-4711", "e30.e30.e30"])
    async def test_what_this_service_did_not_sign_is_a_400_that_does_not_quote_it(
        self, http: ClientSession, receipt: str
    ) -> None:
        problem = await post(http, "/v1/receipts/verify", 400, receipt=receipt)

        assert problem["parameter"] == "receipt"
        assert f"{receipt} " not in problem["detail"]
