"""What all pages have in common: the product's name, one navigation in one order, and how a time is written."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import pytest
from playwright.async_api import Browser, Page, expect

import consentful
from consentful_server import testing

from .looks import fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

PLACES: Final = {"Test": "/", "Explorer": "/explore", "Privacy": "/privacy", "Operations": "/ops", "API": "/docs"}
PAGES: Final = {
    "/": "Test",
    "/explore": "Explorer",
    "/privacy": "Privacy",
    "/ops": "Operations",
    "/docs": "API",
    "/docs/live": "API",
}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("path", "current"), PAGES.items())
async def test_every_page_leads_to_every_other_in_one_order(
    new_page: NewPage, service: testing.Served, path: str, current: str, width: int
) -> None:
    page = await new_page(service.url, width)
    await page.goto(service.url + path)

    pages = page.get_by_role("navigation", name="Pages").get_by_role("link")

    assert await pages.all_inner_texts() == list(PLACES)
    assert [await link.evaluate("link => link.pathname") for link in await pages.all()] == list(PLACES.values())
    await expect(page.locator("header [aria-current=page]")).to_have_text(current)
    await expect(page.locator(".lead h1")).to_be_visible()
    await expect(page.get_by_role("banner")).to_contain_text("Consentful")
    assert await fits(page)


async def test_where_nothing_can_be_shown_one_finds_the_way_back(new_page: NewPage, service: testing.Served) -> None:
    page = await new_page(service.url, 390)
    await page.goto(f"{service.url}/v1/dialogs/nothing-here")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    pages = page.get_by_role("navigation", name="Pages").get_by_role("link")
    assert await pages.all_inner_texts() == list(PLACES)
    assert await fits(page)
    await pages.first.click()
    await expect(page).to_have_url(f"{service.url}/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/explore", "/privacy", "/ops", "/docs", "/docs/live", "/withdraw", "/nowhere"])
async def test_axe_core_finds_nothing_wrong(
    new_page: NewPage, service: testing.Served, path: str, scheme: Literal["light", "dark"]
) -> None:
    page = await new_page(service.url, 1280, scheme)
    await page.goto(service.url + path)
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)

    assert await violations(page) == []


@pytest.mark.parametrize("path", [*PAGES, "/withdraw", "/nowhere"])
async def test_all_text_is_in_the_systems_fonts_and_emoji_in_theirs(
    new_page: NewPage, service: testing.Served, path: str
) -> None:
    page = await new_page(service.url)
    await page.goto(service.url + path)

    stacks: list[str] = await page.evaluate(
        "[...new Set([...document.querySelectorAll('body *')].map((it) => getComputedStyle(it).fontFamily))]"
    )

    assert stacks
    assert [it for it in stacks if not it.startswith(("system-ui", "ui-monospace"))] == []
    assert [it for it in stacks if "Noto Color Emoji" not in it] == []
    assert await page.evaluate("document.fonts.size") == 0


@pytest.mark.parametrize(
    ("zone", "written"),
    [
        ("Europe/Berlin", "25 Jan 2026, 10:37 UTC+1"),
        ("Asia/Kolkata", "25 Jan 2026, 15:07 UTC+5:30"),
        ("America/St_Johns", "25 Jan 2026, 06:07 UTC-3:30"),
        ("UTC", "25 Jan 2026, 09:37 UTC"),
    ],
)
async def test_a_time_names_its_zone_and_says_the_exact_time_in_utc(browser: Browser, zone: str, written: str) -> None:
    clock = testing.FakeClock(datetime(2026, 1, 25, 9, 37, 5, tzinfo=UTC))
    context = await browser.new_context(timezone_id=zone)
    async with testing.serve(clock=clock) as service:
        async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
            await dialog.say("Hello")
            await dialog.grant()
        page = await context.new_page()
        await page.goto(f"{service.url}/explore")

        received = page.locator("#pane time").first

        await expect(received).to_have_text(written)
        await expect(received).to_have_attribute("title", "2026-01-25T09:37:05.000Z")
    await context.close()
