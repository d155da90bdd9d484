"""Reading in the explorer: hits are marked, a message is found in its dialog, and on a phone there is a way back."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from consentful_server import testing
from kept import keep

from .looks import fits

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

LONG = 1_200


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    """A service with a dialog of 1,200 messages, of which three ask for a parcel, and a short one."""
    async with testing.serve() as served:
        said = [f"Message {number} " + "about nothing at all, in many words" for number in range(1, LONG + 1)]
        said[9], said[599] = "Where is my Parcel?", "No PARCEL (a+b) yet"
        said[1100] = "x" * 200 + " the parcel came 😀"
        await keep(served.service, "d-long", said, language="en")
        await keep(served.service, "d-short", ["Hello"], language="en")
        yield served


async def explore(new_page: NewPage, served: testing.Served, address: str = "", **look: Any) -> Page:
    page = await new_page(served.url, **look)
    await page.goto(f"{served.url}/explore{address}")
    return page


async def search(page: Page, words: str) -> None:
    await page.get_by_label("Search text").fill(words)
    await page.get_by_role("button", name="Apply").click()


def rows(page: Page) -> Locator:
    return page.locator("#rows tr[data-index]")


def current(page: Page) -> Locator:
    return page.locator("#dialog [aria-current]")


async def test_hits_are_marked_and_one_goes_from_one_to_the_next(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await search(page, "parcel")

    await expect(page.locator("#count")).to_have_text("3 messages")
    await expect(rows(page).locator("mark")).to_have_text(["parcel", "PARCEL", "Parcel"])
    await expect(rows(page).first.locator(".text")).to_have_text("…" + "x" * 7 + " the parcel came 😀")

    await rows(page).nth(1).click()

    await expect(current(page)).to_contain_text("No PARCEL (a+b) yet")
    await expect(current(page)).to_be_in_viewport()
    await page.get_by_role("button", name="Next match").click()
    await expect(current(page)).to_contain_text("the parcel came")
    await expect(page.locator(".hits [role=status]")).to_have_text("3 of 3 matching")
    await page.get_by_role("button", name="Next match").click()
    await expect(current(page)).to_contain_text("Where is my Parcel?")
    await expect(current(page)).to_be_in_viewport()
    await search(page, "(A+B)")
    await expect(rows(page).locator("mark")).to_have_text(["(a+b)"])


async def test_a_link_leads_to_a_message_in_its_dialog(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?show=d-long&seq=600")

    await expect(current(page)).to_contain_text("No PARCEL")
    await expect(current(page)).to_be_in_viewport()
    assert await page.evaluate("scrollY") < 900


async def test_another_message_of_the_same_dialog_needs_no_request(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?dialog_id=d-long&order=stored&show=d-long&seq=1")
    await expect(current(page)).to_contain_text("Message 1 ")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await rows(page).nth(3).click()

    await expect(current(page)).to_contain_text("Message 4 ")
    assert page.url.endswith("&show=d-long&seq=4")
    assert [url for url in asked if "/v1/dialogs/" in url] == []


async def test_on_a_phone_the_dialog_is_bounded_and_there_is_a_way_back(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await explore(new_page, filled, "?show=d-long&seq=600", width=390)
    await expect(current(page)).to_contain_text("No PARCEL")

    assert await page.evaluate("document.documentElement.scrollHeight") < 6_000
    assert await fits(page)

    await page.get_by_role("button", name="Back to the list").click()

    await expect(page.locator("#dialog")).to_have_attribute("data-state", "empty")
    await expect(page.locator("#messages")).to_be_focused()
    await expect(rows(page).first).to_be_in_viewport()
    await page.go_back()
    await expect(current(page)).to_contain_text("No PARCEL")


async def test_going_back_keeps_the_words(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await search(page, "parcel")
    await expect(page.locator("#count")).to_have_text("3 messages")
    await search(page, "hello")
    await expect(page.locator("#count")).to_have_text("1 message")

    await page.go_back()

    await expect(page.locator("#count")).to_have_text("3 messages")
    await expect(page.get_by_label("Search text")).to_have_value("parcel")
    assert "parcel" not in page.url


async def test_a_server_that_does_not_answer_in_time_can_be_asked_again(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await new_page(filled.url)
    await page.clock.install()
    await page.route("**/v1/messages**", lambda route: None)
    await page.goto(f"{filled.url}/explore?language=en")
    await expect(page.locator("#count")).to_have_text("loading …")

    await page.clock.run_for(31_000)

    await expect(page.get_by_role("alert")).to_have_text("no response within 30 s; try again (timeout)")
    await page.unroute("**/v1/messages**")
    await page.get_by_role("button", name="Retry", exact=True).click()  # what was slow beside it has one, too
    await expect(rows(page).first).to_be_visible()
