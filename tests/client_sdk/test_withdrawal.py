"""Taking a consent back is one call, from either SDK (GDPR art. 7(3))."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

import consentful
from consentful_server import testing
from consentful_server.consent.notices import Wording
from javascript import in_node
from vectors import NO_WITHDRAWAL_CODES, WITHDRAWAL_CODES

CODE = "HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I"

_IN_NODE = """
const done = sdk.withdraw(given.url, given.code);
console.log(JSON.stringify(await done.then(
  ({ dialogId, erasedAt, status }) => ({ id: dialogId, at: erasedAt.toISOString(), status }),
  ({ name, code, message }) => ({ error: name, code, message }),
)));
"""

Outcome: TypeAlias = tuple[str, datetime, str]
Withdraw: TypeAlias = Callable[[str, str], Awaitable[Outcome]]


async def by_python(url: str, code: str) -> Outcome:
    done = await consentful.withdraw(url, code)
    return done.dialog_id, done.erased_at.replace(microsecond=done.erased_at.microsecond // 1000 * 1000), done.status


async def by_javascript(url: str, code: str) -> Outcome:
    """Withdraw in Node; raise the error of the same name."""
    answer = await in_node(_IN_NODE, {"url": url, "code": code})
    if "error" in answer:
        raise getattr(consentful, answer["error"])(answer["message"], answer["code"])
    return answer["id"], datetime.fromisoformat(answer["at"]), answer["status"]


each_sdk = pytest.mark.parametrize("withdraw", [by_python, by_javascript])


async def stored_at(url: str) -> consentful.Stored:
    async with consentful.open_dialog(url, customer_id="c-1") as dialog:
        await dialog.say("Hi")
        return await dialog.grant()


@each_sdk
@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_the_code_erases_its_dialog_and_says_the_same_again(withdraw: Withdraw, scheme: str) -> None:
    async with testing.serve() as service, ClientSession() as http:
        stored = await stored_at(service.url)
        url = service.url.replace("http", scheme)

        first = await withdraw(url, stored.withdrawal_code.lower())
        again = await withdraw(url + "/", stored.withdrawal_code)

        assert first == again
        assert (first[0], first[2]) == (stored.dialog_id, "unreadable")
        assert abs((first[1] - datetime.now(UTC)).total_seconds()) < 3600
        async with http.get(f"{service.url}/v1/dialogs/{stored.dialog_id}") as response:
            assert response.status == 410


@each_sdk
async def test_a_code_that_is_used_again_after_its_epoch_says_that_it_is_complete(withdraw: Withdraw) -> None:
    async with testing.serve() as service:
        stored = await stored_at(service.url)
        await withdraw(service.url, stored.withdrawal_code)
        while not await service.service.rotation.turn():
            pass

        assert (await withdraw(service.url, stored.withdrawal_code))[2] == "complete"


@each_sdk
@pytest.mark.parametrize("manner", WITHDRAWAL_CODES)
async def test_a_code_is_read_as_it_was_meant(withdraw: Withdraw, manner: str) -> None:
    async with testing.serve() as service:
        stored = await stored_at(service.url)

        assert (await withdraw(service.url, WITHDRAWAL_CODES[manner](stored.withdrawal_code)))[0] == stored.dialog_id


@each_sdk
@pytest.mark.parametrize("code", NO_WITHDRAWAL_CODES)
async def test_nobodys_code_erases_nothing(withdraw: Withdraw, code: str) -> None:
    async with testing.serve() as service:
        with pytest.raises(consentful.UnknownCode, match="nothing was erased"):
            await withdraw(service.url, code)


async def test_blocking_code_does_the_same() -> None:
    async with testing.serve() as service:
        stored = await stored_at(service.url)

        done = await asyncio.to_thread(consentful.sync.withdraw, service.url, stored.withdrawal_code)

        assert done.dialog_id == stored.dialog_id


@each_sdk
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, consentful.Unavailable),
        (429, consentful.Unavailable),
        (404, consentful.Refused),
        (403, consentful.Refused),
    ],
)
async def test_another_answer_is_told_by_its_kind(
    withdraw: Withdraw, status: int, error: type[consentful.ConsentfulError]
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/v1/withdrawals", answer)
    async with TestServer(app) as server:
        with pytest.raises(error, match=str(status)):
            await withdraw(str(server.make_url("")), CODE)


@each_sdk
async def test_a_server_out_of_reach_is_unavailable(withdraw: Withdraw, unused_tcp_port: int) -> None:
    with pytest.raises(consentful.Unavailable, match="the outcome is unknown"):
        await withdraw(f"http://127.0.0.1:{unused_tcp_port}", CODE)


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="http"):
        await consentful.withdraw("ftp://127.0.0.1", CODE)


_LINK_IN_NODE = """
console.log(JSON.stringify(sdk.withdrawalLink(given.url, given.code, given.language)));
"""


@pytest.mark.parametrize(
    ("base", "language", "link"),
    [
        ("https://chat.example", None, "https://chat.example/withdraw#AAAAA-B"),
        ("wss://chat.example/consentful/", "pt-BR", "https://chat.example/consentful/withdraw?lang=pt-BR#AAAAA-B"),
        ("ws://127.0.0.1:8080", "x&y", "http://127.0.0.1:8080/withdraw?lang=x%26y#AAAAA-B"),
    ],
)
async def test_a_link_carries_the_code_in_its_fragment(base: str, language: str | None, link: str) -> None:
    stored = consentful.Stored("d-1", 1, datetime(2026, 1, 1, tzinfo=UTC), "receipt", "AAAAA-B")

    in_javascript = await in_node(_LINK_IN_NODE, {"url": base, "code": "AAAAA-B", "language": language})

    assert stored.withdrawal_link(base, language) == link
    assert in_javascript == link


_SOME_IN_NODE = """
const done = sdk.withdraw(given.url, given.code, { purposes: given.purposes });
console.log(JSON.stringify(await done.then(
  ({ dialogId, purposes, status }) => ({ id: dialogId, left: purposes, status }),
  ({ name, code, message }) => ({ error: name, code, message }),
)));
"""

TWO_PURPOSES = Wording(
    id="n-2",
    language="en",
    text="May we?",
    purposes=("improve", "research"),
    controller="Shop",
    contact="privacy@shop.example",
    retention=timedelta(days=30),
)

Left: TypeAlias = tuple[str, list[str] | None, str]
WithdrawSome: TypeAlias = Callable[[str, str, Any], Awaitable[Left]]


async def some_by_python(url: str, code: str, purposes: Any) -> Left:
    done = await consentful.withdraw(url, code, purposes=purposes)
    return done.dialog_id, list(done.purposes) if isinstance(done, consentful.Narrowed) else None, done.status


async def some_by_blocking_code(url: str, code: str, purposes: Any) -> Left:
    done = await asyncio.to_thread(consentful.sync.withdraw, url, code, purposes=purposes)
    return done.dialog_id, list(done.purposes) if isinstance(done, consentful.Narrowed) else None, done.status


async def some_by_javascript(url: str, code: str, purposes: Any) -> Left:
    answer = await in_node(_SOME_IN_NODE, {"url": url, "code": code, "purposes": purposes})
    if "error" in answer:
        raise getattr(consentful, answer["error"])(answer["message"], answer["code"])
    return answer["id"], answer.get("left"), answer["status"]


each_way = pytest.mark.parametrize("withdraw", [some_by_python, some_by_blocking_code, some_by_javascript])


async def for_two_purposes(service: testing.Served) -> consentful.Stored:
    await service.service.offer.add([TWO_PURPOSES])
    await service.service.offer.refresh()
    return await stored_at(service.url)


async def purposes_left(service: testing.Served, dialog_id: str) -> list[str] | None:
    """Return the purposes that the dialog is stored for; None if it was erased."""
    async with ClientSession() as http, http.get(f"{service.url}/v1/dialogs/{dialog_id}") as response:
        return (await response.json())["purposes"] if response.status == 200 else None


@each_way
async def test_a_consent_is_withdrawn_for_some_purposes_and_then_for_the_rest(withdraw: WithdrawSome) -> None:
    async with testing.serve() as service:
        stored = await for_two_purposes(service)
        code = stored.withdrawal_code

        assert await withdraw(service.url, code.lower(), ["research"]) == (stored.dialog_id, ["improve"], "narrowed")
        assert await withdraw(service.url, code, ["research"]) == (stored.dialog_id, ["improve"], "narrowed")
        assert await purposes_left(service, stored.dialog_id) == ["improve"]

        assert await withdraw(service.url, code, ["improve"]) == (stored.dialog_id, None, "unreadable")
        assert await purposes_left(service, stored.dialog_id) is None


@each_way
async def test_without_purposes_the_whole_consent_is_withdrawn(withdraw: WithdrawSome) -> None:
    async with testing.serve() as service:
        stored = await for_two_purposes(service)

        assert await withdraw(service.url, stored.withdrawal_code, None) == (stored.dialog_id, None, "unreadable")


@each_way
async def test_a_purpose_that_the_notice_does_not_name_withdraws_nothing(withdraw: WithdrawSome) -> None:
    async with testing.serve() as service:
        stored = await for_two_purposes(service)

        with pytest.raises(consentful.Refused, match="nothing was withdrawn") as refusal:
            await withdraw(service.url, stored.withdrawal_code, ["research", "advertising"])

        assert refusal.value.code == "bad_request"
        assert await purposes_left(service, stored.dialog_id) == ["improve", "research"]


@each_way
@pytest.mark.parametrize("purposes", [[], "research", [1]])
async def test_what_names_no_purposes_is_refused_before_anything_is_sent(
    withdraw: WithdrawSome, purposes: Any, unused_tcp_port: int
) -> None:
    with pytest.raises((consentful.Refused, TypeError, ValueError), match="purposes"):
        await withdraw(f"http://127.0.0.1:{unused_tcp_port}", CODE, purposes)
