"""Every page in every bad situation: it says in words what is wrong and what to do, and recovers when the cause goes.

The rows of a table are pages, a table is a situation. All at 320 pixels, where everything has to fit, too. That no page
logs an error or throws one is what `new_page` holds every page to.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from consentful_server import testing
from kept import keep
from ports import free_port

from .looks import fits

NewPage: TypeAlias = Callable[..., Awaitable[Page]]
Act: TypeAlias = Callable[[Page], Awaitable[None]]

PHONE: Final = 320
"""What WCAG 2.2 §1.4.10 asks for."""
USABLE: Final = {
    "/": "#samples button",
    "/explore": "#messages[data-state=empty], #messages[data-state=full]",
    "/privacy": "#alarms[data-state=empty], #alarms[data-state=full]",
    "/ops": "#state[data-state=full]",
    "/docs": "#reference section",
    "/docs/live": "#reference article",
    "/withdraw": "#code",
}
"""What is there once a page can be used."""

ANSWERS: Final = re.compile(r"/v1/dialogs/.+-.+|/v1/(?!dialogs/)|/(openapi|asyncapi)\.json|/withdraw\?")
"""What pages ask the server for, besides their own files and the connection of a dialog."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def empty() -> AsyncGenerator[testing.Served]:
    """A service that keeps nothing."""
    async with testing.serve() as served:
        yield served


async def opened(new_page: NewPage, service: testing.Served, path: str) -> Page:
    page = await new_page(service.url, PHONE)
    await page.goto(service.url + path)
    await usable(page, path)
    return page


async def usable(page: Page, path: str) -> None:
    await expect(page.locator(USABLE[path]).first).to_be_attached()
    await settled(page)


async def settled(page: Page) -> None:
    """Expect that nothing is busy, or too wide."""
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert await fits(page)


async def nothing(page: Page) -> None:
    """What a user does where the page acts by itself."""


def click(name: str, inside: str = "main") -> Act:
    async def act(page: Page) -> None:
        await page.locator(inside).get_by_role("button", name=name).first.click()

    return act


async def try_route_out(page: Page) -> None:
    """Open the operation that lists erasures, and send its request."""
    await page.locator("#contents a", has_text="/v1/erasures").click()
    await click("Send", "#reference details[open]")(page)


async def send_a_wrong_code(page: Page) -> None:
    await page.locator("#code").fill("AAAAA-BBBBB")
    await click("Erase my conversation")(page)


async def hold_and_grant(page: Page) -> None:
    await click("Open the dialog")(page)
    await page.get_by_role("textbox", name="Message").fill("Hi")
    await page.get_by_role("textbox", name="Message").press("Enter")
    await page.get_by_role("button", name="Grant").click()


class Bad(NamedTuple):
    """What is done while it is bad, where the page tells it, in which words, and what is done when it is good again."""

    act: Act
    where: str
    words: str
    again: Act
    good: str
    """What then is there."""

    def told(self, page: Page) -> Locator:
        return page.locator(self.where).filter(has_text=self.words).first


STOPPED: Final = {
    "/": Bad(click("Open the dialog"), "#failure", "check that it is running", click("Open the dialog"), "#talk"),
    "/explore": Bad(
        click("Apply"), "#end [role=alert]", "check that it is running", click("Retry"), USABLE["/explore"]
    ),
    "/privacy": Bad(
        click("Apply"), "#log [role=alert]", "check that it is running", click("Retry"), "#log[data-state=full]"
    ),
    "/ops": Bad(nothing, "#failure[role=alert]", "Not connected", nothing, USABLE["/ops"]),
    "/docs": Bad(try_route_out, ".answer [role=alert]", "check that it is running", click("Send"), ".answer .status"),
    "/withdraw": Bad(
        send_a_wrong_code, "#told", "No answer from the server.", click("Try again"), "#code[aria-invalid]"
    ),
}


@pytest.mark.parametrize(("path", "bad"), STOPPED.items(), ids=STOPPED)
async def test_a_server_that_stopped_is_told_and_found_again(
    new_page: NewPage, tmp_path: Path, path: str, bad: Bad
) -> None:
    port = free_port()
    async with testing.serve(folder=tmp_path, port=port) as service:
        page = await opened(new_page, service, path)
    await bad.act(page)
    await expect(bad.told(page)).to_be_visible()
    await settled(page)

    async with testing.serve(folder=tmp_path, port=port):
        await bad.again(page)
        await expect(page.locator(bad.good).first).to_be_visible()
        await expect(bad.told(page)).to_be_hidden()
        await settled(page)


LATE: Final = {
    "/": Bad(hold_and_grant, "#kept [role=alert]", "no response within 30 s", click("Retry"), "#kept[data-state=full]"),
    "/explore": Bad(nothing, "#end [role=alert]", "no response within 30 s", click("Retry"), USABLE["/explore"]),
    "/privacy": Bad(nothing, "#alarms [role=alert]", "no response within 30 s", click("Retry"), USABLE["/privacy"]),
    "/ops": Bad(nothing, "#failure[role=alert]", "no response within 30 s", nothing, USABLE["/ops"]),
    "/docs": Bad(nothing, "#reference [role=alert]", "no response within 30 s", click("Retry"), USABLE["/docs"]),
    "/docs/live": Bad(
        nothing, "#reference [role=alert]", "no response within 30 s", click("Retry"), USABLE["/docs/live"]
    ),
    "/withdraw": Bad(
        send_a_wrong_code, "#told", "No answer from the server.", click("Try again"), "#code[aria-invalid]"
    ),
}
WAITS: Final = re.compile("(loading|connecting|waiting)", re.IGNORECASE)


@pytest.mark.parametrize(("path", "bad"), LATE.items(), ids=LATE)
async def test_a_server_that_is_slow_is_waited_for_and_then_told(
    new_page: NewPage, service: testing.Served, path: str, bad: Bad
) -> None:
    page = await new_page(service.url, PHONE)
    await page.clock.install()
    await page.route(ANSWERS, lambda route: None)  # it is never answered
    async with page.expect_request(ANSWERS):  # from then on the page's clock counts
        await page.goto(service.url + path)
        await bad.act(page)
    await expect(page.locator("main")).to_contain_text(WAITS)
    assert await fits(page)

    await page.clock.run_for(31_000)

    await expect(bad.told(page)).to_be_visible()
    await page.unroute(ANSWERS)
    await bad.again(page)
    await page.clock.run_for(2_000)
    await expect(page.locator(bad.good).first).to_be_visible()
    await expect(bad.told(page)).to_be_hidden()


ENDED: Final = {
    "/explore": Bad(click("Apply"), "#end [role=alert]", "send a valid token", click("Apply"), USABLE["/explore"]),
    "/privacy": Bad(
        click("Apply"), "#key-failure", "send a valid token", click("Use this key"), "#log[data-state=full]"
    ),
    "/ops": Bad(nothing, "#failure", "send a valid token", click("Connect"), USABLE["/ops"]),
}


@pytest.mark.parametrize(("path", "bad"), ENDED.items(), ids=ENDED)
async def test_a_key_that_ended_is_told_and_another_one_asked_for(new_page: NewPage, path: str, bad: Bad) -> None:
    async with testing.serve(auth="keys") as service:
        key, another = await service.create_key(), await service.create_key()
        page = await new_page(service.url, PHONE)
        await page.evaluate("key => sessionStorage.setItem('consentful key', key)", key)
        await page.goto(service.url + path)
        await usable(page, path)
        await service.revoke_key(key)
        await bad.act(page)
        await expect(bad.told(page)).to_be_visible()
        await expect(page.locator("#key")).to_be_focused()
        await settled(page)

        await page.locator("#key").fill(another)
        await bad.again(page)

        await expect(page.locator(bad.good).first).to_be_visible()
        await expect(bad.told(page)).to_be_hidden()
        await settled(page)


async def test_what_could_not_be_read_is_not_called_in_order(new_page: NewPage, empty: testing.Served) -> None:
    page = await new_page(empty.url, PHONE)
    await page.route(
        "**/v1/retention", lambda route: route.fulfill(status=429, json={"detail": "later", "code": "rate"})
    )
    await page.goto(f"{empty.url}/privacy")
    await expect(page.locator("#alarms li")).to_contain_text("retention: could not be read")

    await page.unroute("**/v1/retention")
    await click("Retry", "#alarms")(page)

    await expect(page.locator("#alarms")).to_contain_text("all in order")
    await settled(page)


EMPTY: Final = {
    "/": ("#kept", "Grant or decline to see what the server has stored."),
    "/explore": ("#messages", "Hold a dialog and grant it, or run consentful demo."),
    "/privacy": ("#requests", "Look a person up, or record a request below."),
    "/ops": ("#counts", "none"),
    "/docs": ("#about", "This server"),
    "/docs/live": ("#connection", "This server"),
    "/withdraw": ("#hint", "You received it when you gave your consent."),
}


@pytest.mark.parametrize(("path", "told"), EMPTY.items(), ids=EMPTY)
async def test_where_nothing_is_stored_it_says_what_to_do(
    new_page: NewPage, empty: testing.Served, path: str, told: tuple[str, str]
) -> None:
    page = await opened(new_page, empty, path)

    await expect(page.locator(told[0])).to_contain_text(told[1])
    await expect(page.get_by_role("alert")).to_have_count(0)


def correct(field: str, value: str, name: str) -> Act:
    """Write something else into the field that has the focus, and send the form."""

    async def act(page: Page) -> None:
        await expect(page.locator(field)).to_be_focused()
        await page.locator(field).fill(value)
        await click(name)(page)

    return act


async def open_in_another_language(page: Page) -> None:
    await page.locator("#language").fill("en")
    await click("Open the dialog")(page)


WRONG: Final = {
    "/?customer=c-1&language=!!": Bad(
        click("Open the dialog"), "#failure", "language: must be a BCP 47 tag", open_in_another_language, "#talk"
    ),
    "/explore?since=nonsense": Bad(nothing, "#blame", "Expected a time", click("Apply"), USABLE["/explore"]),
    "/explore?language=!!": Bad(nothing, "#blame", "language", correct("#language", "", "Apply"), USABLE["/explore"]),
    "/explore?role=king": Bad(nothing, "#blame", "role: not one of", click("Clear all filters"), USABLE["/explore"]),
    "/explore?show=../..": Bad(
        nothing, "#dialog [role=alert]", "dialog_id: Expected", click("Back"), USABLE["/explore"]
    ),
}


@pytest.mark.parametrize(("address", "bad"), WRONG.items(), ids=WRONG)
async def test_a_wrong_filter_is_told_at_its_field_and_can_be_corrected(
    new_page: NewPage, empty: testing.Served, address: str, bad: Bad
) -> None:
    page = await new_page(empty.url, PHONE)
    await page.goto(empty.url + address)
    await settled(page)
    await bad.act(page)
    await expect(bad.told(page)).to_be_visible()
    await settled(page)

    await bad.again(page)

    await expect(page.locator(bad.good).first).to_be_visible()
    await expect(bad.told(page)).to_be_hidden()
    await settled(page)


@pytest.mark.parametrize(
    "address",
    [
        "/privacy?status=nonsense",
        "/ops?since=nonsense&language=!!",
        "/docs?since=nonsense#nonsense",
        "/docs#%E0",
        "/docs/live#%E0",
        "/withdraw?lang=!!#100%",
    ],
)
async def test_what_a_url_cannot_mean_is_ignored(new_page: NewPage, empty: testing.Served, address: str) -> None:
    page = await opened(new_page, empty, "/withdraw")
    await page.goto(empty.url + address)

    await usable(page, re.split("[?#]", address)[0])

    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_status_that_there_is_not_shows_all_requests(new_page: NewPage, empty: testing.Served) -> None:
    page = await new_page(empty.url, PHONE)
    await page.goto(f"{empty.url}/privacy?status=nonsense")

    await expect(page.locator("#status option:checked")).to_have_text("all")


async def test_another_language_keeps_whatever_was_typed(new_page: NewPage, empty: testing.Served) -> None:
    page = await opened(new_page, empty, "/withdraw")
    await page.locator("#code").fill("100% & more")
    await page.get_by_role("link", name="Deutsch").click()

    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.locator("#code")).to_have_value("100% & more")


MANY: Final = 1200


async def show_the_long_one(page: Page) -> None:
    """Hold a short dialog, and be shown the long one as what is stored of it."""
    await page.route(
        ANSWERS, lambda route: route.continue_(url=re.sub("dialogs/.+", "dialogs/d-long", route.request.url))
    )
    await hold_and_grant(page)


async def look_the_customer_up(page: Page) -> None:
    await page.get_by_label("Customer ids").fill("c-long")
    await click("Look up")(page)


LONG: Final = {
    "/": (show_the_long_one, "#kept .chip", "1,200 messages"),
    "/explore?show=d-long&seq=1200": (nothing, "#dialog .chip", "1,200 messages"),
    "/privacy": (look_the_customer_up, "#person td.number", "1,200"),
}


@pytest.mark.parametrize(("address", "told"), LONG.items(), ids=LONG)
async def test_a_long_dialog_is_shown_whole(
    new_page: NewPage, service: testing.Served, address: str, told: tuple[Act, str, str]
) -> None:
    act, where, words = told
    await keep(service.service, "d-long", ["Where is my parcel?"] * MANY, customer_id="c-long")
    page = await new_page(service.url, PHONE)
    await page.goto(service.url + address)
    await settled(page)  # what loads above a button moves it, also between pressing and letting go
    await act(page)

    await expect(page.locator(where).filter(has_text=words).first).to_be_visible()
    await settled(page)


async def test_numbers_are_written_as_the_words_around_them_are(browser: Browser, service: testing.Served) -> None:
    """`1.200` is one and a fifth in an English sentence, whatever the browser's language is."""
    await keep(service.service, "d-thousands", ["Where is my parcel?"] * MANY, customer_id="c-thousands")
    context = await browser.new_context(locale="de-DE")
    page = await context.new_page()
    await page.goto(f"{service.url}/explore?show=d-thousands&dialog_id=d-thousands")

    await expect(page.locator("#dialog .chip").first).to_have_text("1,200 messages")
    await expect(page.locator("#facets .number").filter(has_text=",").first).to_be_visible()
    await expect(page.locator("#totals")).to_contain_text(",")
    await context.close()
