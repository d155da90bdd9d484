"""Annotating in the explorer, by mouse and by keyboard, against the real service."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Locator, Page, expect

from consentful_server import testing
from kept import get, keep

from .looks import CONTRAST, fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    async with testing.serve() as served:
        await keep(served.service, "d-1", ["Where?", "There.", "Thanks"], language="en")
        yield served


async def explore(new_page: NewPage, served: testing.Served, address: str, **look: Any) -> Page:
    page = await new_page(served.url, **look)
    await page.goto(f"{served.url}/explore{address}")
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "full")
    return page


async def said(served: testing.Served) -> list[tuple[int | None, list[str], str | None, str | None]]:
    async with ClientSession(served.url) as http:
        items = (await get(http, "/v1/annotations"))["items"]
    return [(it["seq"], it["labels"], it["review"], it["note"]) for it in items]


def status(page: Page) -> Locator:
    return page.locator("#annotated")


async def test_a_message_is_annotated_found_again_and_cleared(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?show=d-1&seq=2")
    await page.get_by_text("Annotate message 2").click()
    await page.get_by_label("Labels").fill("intent/parcel, polite")
    await page.locator("#reviewed").select_option("accepted")
    await page.get_by_label("Note").fill("Good <b>answer</b>")
    await page.get_by_role("button", name="Save").click()

    await expect(status(page)).to_have_text("Saved: message 2.")
    assert await said(filled) == [(2, ["intent/parcel", "polite"], "accepted", "Good <b>answer</b>")]
    await page.goto(f"{filled.url}/explore?label=polite&show=d-1&seq=2")
    await expect(page.locator("#count")).to_have_text("1 message")
    await page.get_by_text("Annotate message 2").click()
    await expect(page.get_by_label("Note")).to_have_value("Good <b>answer</b>")
    await expect(page.locator("#said-of-it li")).to_contain_text("local · accepted · intent/parcel polite")

    await page.get_by_role("button", name="Delete mine").click()

    await expect(status(page)).to_have_text("Deleted: message 2.")
    assert await said(filled) == []


async def test_a_dialog_is_reviewed_with_the_keyboard_alone(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?show=d-1&seq=1")
    await page.locator(".said").focus()

    await page.keyboard.press("a")
    await expect(page.locator("#dialog [aria-current]")).to_contain_text("There.")
    await page.keyboard.press("r")
    await expect(page.locator("#dialog [aria-current]")).to_contain_text("Thanks")
    await page.keyboard.press("k")
    await expect(page.locator("#dialog [aria-current]")).to_contain_text("There.")
    await page.keyboard.press("l")
    await expect(page.get_by_label("Labels")).to_be_focused()
    await page.keyboard.type("rude")
    await page.keyboard.press("Control+Enter")
    await expect(status(page)).to_have_text("Saved: message 2.")

    assert await said(filled) == [(1, [], "accepted", None), (2, ["rude"], "rejected", None)]


async def test_another_window_is_not_overwritten(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?show=d-1")
    await page.locator("#more-said summary", has_text="the whole dialog").click()
    async with ClientSession(filled.url) as http, http.put("/v1/annotations/d-1", json={"note": "mine"}) as response:
        assert response.status == 201

    await page.get_by_label("Note").fill("other")
    await page.get_by_role("button", name="Save").click()

    await expect(status(page)).to_contain_text("(stale)")
    await expect(page.locator("#said-of-it q")).to_have_text("mine")
    assert await said(filled) == [(None, [], None, "mine")]


@pytest.mark.parametrize("width", [1280, 390])
async def test_it_fits_and_can_be_read(new_page: NewPage, filled: testing.Served, width: int) -> None:
    page = await explore(new_page, filled, "?show=d-1&seq=1", width=width)
    await page.get_by_text("Annotate message 1").click()
    await page.get_by_label("Labels").fill("Two Words!")
    await page.get_by_role("button", name="Save").click()

    await expect(status(page)).to_contain_text("labels")
    assert await fits(page)
    assert await page.evaluate(CONTRAST) == []
    assert await violations(page) == []
