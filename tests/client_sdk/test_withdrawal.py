"""Taking a consent back is one call (GDPR art. 7(3))."""

import asyncio

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

import consentful
from consentful_server import testing

CODE = "HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I"


async def stored_at(url: str) -> consentful.Stored:
    async with consentful.open_dialog(url, customer_id="c-1") as dialog:
        await dialog.say("Hi")
        return await dialog.grant()


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_the_code_erases_its_dialog_and_says_the_same_again(scheme: str) -> None:
    async with testing.serve() as service, ClientSession() as http:
        stored = await stored_at(service.url)
        url = service.url.replace("http", scheme)

        first = await consentful.withdraw(url, stored.withdrawal_code.lower())
        again = await consentful.withdraw(url, stored.withdrawal_code)

        assert first == again
        assert (first.dialog_id, first.status) == (stored.dialog_id, "unreadable")
        async with http.get(f"{service.url}/v1/dialogs/{stored.dialog_id}") as response:
            assert response.status == 410


@pytest.mark.parametrize("code", ["AAAAA-BBBBB", "", "x" * 200])
async def test_nobodys_code_erases_nothing(code: str) -> None:
    async with testing.serve() as service:
        with pytest.raises(consentful.UnknownCode, match="nothing was erased"):
            await consentful.withdraw(service.url, code)


async def test_blocking_code_does_the_same() -> None:
    async with testing.serve() as service:
        stored = await stored_at(service.url)

        done = await asyncio.to_thread(consentful.sync.withdraw, service.url, stored.withdrawal_code)

        assert done.dialog_id == stored.dialog_id


@pytest.mark.parametrize(
    ("status", "error"), [(503, consentful.Unavailable), (404, consentful.Refused), (403, consentful.Refused)]
)
async def test_another_answer_is_told_by_its_kind(status: int, error: type[consentful.ConsentfulError]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/v1/withdrawals", answer)
    async with TestServer(app) as server:
        with pytest.raises(error):
            await consentful.withdraw(str(server.make_url("")), CODE)


async def test_a_server_out_of_reach_is_unavailable(unused_tcp_port: int) -> None:
    with pytest.raises(consentful.Unavailable):
        await consentful.withdraw(f"http://127.0.0.1:{unused_tcp_port}", CODE)


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="http"):
        await consentful.withdraw("ftp://127.0.0.1", CODE)
