"""Withdrawing by code over HTTP and on the page: whatever a mail program or a keyboard made of it, it erases."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from consentful_server.access_log.chain import OPERATOR
from consentful_server.consent.notices import Wording
from consentful_server.errors import Conflict
from consentful_server.operations.verify import check_receipt
from consentful_server.testing import FakeClock, Served
from kept import get, keep
from live import connect
from vectors import WITHDRAWAL_CODES


async def code_of(http: ClientSession, service: Served) -> str:
    async with connect(http, service.url) as live:
        await live.open()
        await live.say("Hi")
        return (await live.grant()).withdrawal_code


@pytest.mark.parametrize("manner", WITHDRAWAL_CODES)
async def test_a_mangled_code_erases_its_dialog(service: Served, http: ClientSession, manner: str) -> None:
    code = await code_of(http, service)

    async with http.post("/v1/withdrawals", json={"code": WITHDRAWAL_CODES[manner](code)}) as response:
        assert response.status == 200, await response.text()


@pytest.mark.parametrize("manner", WITHDRAWAL_CODES)
async def test_the_page_reads_it_as_well(service: Served, http: ClientSession, manner: str) -> None:
    code = await code_of(http, service)

    async with http.post("/withdraw", data={"code": WITHDRAWAL_CODES[manner](code)}) as response:
        assert "has been erased" in await response.text()


@pytest.mark.parametrize("code", ["AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A", "no code at all", "l" * 26])
async def test_nobodys_code_erases_nothing(service: Served, http: ClientSession, code: str) -> None:
    await code_of(http, service)

    async with http.post("/v1/withdrawals", json={"code": code}) as response:
        assert response.status == 404


@pytest.mark.usefixtures("two_purposes")
class TestForSomePurposes:
    async def withdraw(self, http: ClientSession, code: str, *purposes: str) -> tuple[int, Any]:
        async with http.post("/v1/withdrawals", json={"code": code, "purposes": purposes}) as response:
            return response.status, await response.json()

    async def test_the_dialog_stays_for_the_others_and_the_same_again_changes_nothing(
        self, http: ClientSession, service: Served
    ) -> None:
        stored = await keep(service.service, "d-1", ["one"])
        before = await get(http, "/v1/dialogs/d-1")

        for _ in range(2):
            status, answer = await self.withdraw(http, stored.withdrawal_code, "research")
            assert (status, answer) == (200, {"dialog_id": "d-1", "purposes": ["improve"], "status": "narrowed"})

        after = await get(http, "/v1/dialogs/d-1")
        assert (before["purposes"], after["purposes"]) == (["improve", "research"], ["improve"])
        assert after["messages"] == before["messages"]
        entries = (await get(http, "/v1/access-log", action="dialog.narrowed"))["items"]
        assert [(entry["who"], entry["dialogs"]) for entry in entries] == [("customer", 1)]
        assert (await check_receipt(after["receipt"], service.service)).content == "matches"

    async def test_when_nothing_is_left_the_dialog_is_erased(self, http: ClientSession, service: Served) -> None:
        stored = await keep(service.service, "d-1", ["one"])
        await self.withdraw(http, stored.withdrawal_code, "research")

        status, answer = await self.withdraw(http, stored.withdrawal_code, "improve")

        assert (status, answer["status"]) == (200, "unreadable")
        assert (await http.get("/v1/dialogs/d-1")).status == 410
        assert await self.withdraw(http, stored.withdrawal_code, "improve") == (status, answer)

    async def test_a_withdrawn_purpose_does_not_come_back_with_a_replay(
        self, http: ClientSession, service: Served
    ) -> None:
        stored = await keep(service.service, "d-1", ["one"])
        await self.withdraw(http, stored.withdrawal_code, "research")

        with pytest.raises(Conflict):
            await keep(service.service, "d-1", ["one"])

    async def test_a_notice_that_was_retired_since_is_still_known(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        stored = await keep(service.service, "d-1", ["one"])
        await service.service.offer.retire("n-2", by=OPERATOR)
        clock.advance(10 * 86_400)
        await service.service.offer.refresh()

        status, answer = await self.withdraw(http, stored.withdrawal_code, "improve")

        assert (status, answer["purposes"]) == (200, ["research"])

    @pytest.mark.parametrize("purposes", [["advertising"], ["improve", "advertising"], [], ["no label!"]])
    async def test_what_the_notice_does_not_name_is_refused(
        self, http: ClientSession, service: Served, purposes: list[str]
    ) -> None:
        stored = await keep(service.service, "d-1", ["one"])

        status, problem = await self.withdraw(http, stored.withdrawal_code, *purposes)

        assert (status, problem["code"]) == (400, "bad_request")
        assert problem["parameter"].startswith("purposes")
        assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["improve", "research"]

    @pytest.mark.parametrize(
        ("language", "shown"),
        [
            ("de", ["Forschung &lt;&amp;&gt;", "Verbesserung"]),
            ("nl", ['<bdi lang="en">Research</bdi>', '<bdi lang="en">Improving</bdi>']),
        ],
    )
    async def test_the_page_shows_names_in_its_language_or_in_that_of_the_notice(
        self, http: ClientSession, service: Served, two_purposes: Wording, language: str, shown: list[str]
    ) -> None:
        en = replace(two_purposes, id="n-3", purpose_names=("Improving", "Research"))
        de = replace(en, language="de", purpose_names=("Verbesserung", "Forschung <&>"))
        await service.service.offer.add([en, de, replace(en, language="nl", purpose_names=())])
        await service.service.offer.refresh()
        code = (await keep(service.service, "d-1", language="en")).withdrawal_code

        pages: list[str] = []
        for form in ({"step": "choose"}, {"step": "chosen", "purpose.research": "on"}):
            async with http.post("/withdraw", params={"lang": language}, data={"code": code} | form) as response:
                pages.append(await response.text())

        research, improve = shown
        assert f'name="purpose.research"> {research}</label>' in pages[0]
        assert f'name="purpose.improve"> {improve}</label>' in pages[0]
        assert f"<dd>{research}</dd>" in pages[1]
        assert f"<dd>{improve}</dd>" in pages[1]
        assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["improve"]

    async def test_two_withdrawals_at_once_leave_nothing(self, http: ClientSession, service: Served) -> None:
        stored = await keep(service.service, "d-1", ["one"])

        await asyncio.gather(*(self.withdraw(http, stored.withdrawal_code, it) for it in ("improve", "research")))

        assert (await http.get("/v1/dialogs/d-1")).status == 410
