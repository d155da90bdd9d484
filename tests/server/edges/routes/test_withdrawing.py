"""Withdrawing by code over HTTP and on the page: whatever a mail program or a keyboard made of it, it erases."""

import pytest
from aiohttp import ClientSession

from consentful_server.testing import Served
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
