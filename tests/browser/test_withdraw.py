"""The withdrawal page: one code, no login, no script (GDPR art. 7(3))."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Browser, Page, expect

import consentful
from consentful_server import testing

LABEL = "Your withdrawal code"


@pytest_asyncio.fixture(loop_scope="session", params=[1280, 390])
async def page(browser: Browser, service: testing.Served, request: pytest.FixtureRequest) -> AsyncGenerator[Page]:
    """The withdrawal page, in a browser that runs no script."""
    context = await browser.new_context(viewport={"width": request.param, "height": 800}, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{service.url}/withdraw")
    yield page
    await context.close()


async def granted(service: testing.Served) -> consentful.Stored:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        for text in ("one", "two"):
            await dialog.say(text)
        return await dialog.grant()


async def status_of(service: testing.Served, dialog_id: str) -> int:
    async with ClientSession() as http, http.get(f"{service.url}/v1/dialogs/{dialog_id}") as response:
        return response.status


async def test_a_customer_takes_the_consent_back_and_is_told_what_was_erased(
    page: Page, service: testing.Served
) -> None:
    stored = await granted(service)

    await page.get_by_label(LABEL).fill(stored.withdrawal_code.lower().replace("-", " "))
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("status")).to_contain_text("Your conversation has been erased.")
    await expect(page.get_by_role("status")).to_contain_text("2 messages were made unreadable")
    await expect(page.get_by_label(LABEL)).to_be_hidden()
    assert await status_of(service, stored.dialog_id) == 410


async def test_a_used_code_is_told_the_same(page: Page, service: testing.Served) -> None:
    stored = await granted(service)
    said: list[str] = []
    for _ in range(2):
        await page.goto(f"{service.url}/withdraw")
        await page.get_by_label(LABEL).fill(stored.withdrawal_code)
        await page.get_by_role("button").click()
        said.append(await page.get_by_role("status").inner_text())

    assert said[0] == said[1]


@pytest.mark.parametrize("code", ["AAAAA-BBBBB", "<img src=x onerror=alert(1)>", "ä" * 99])
async def test_a_wrong_code_erases_nothing_and_says_what_to_look_at(page: Page, code: str) -> None:
    await page.get_by_label(LABEL).fill(code)
    await page.get_by_role("button").click()

    await expect(page.get_by_role("status")).to_contain_text("This code is not valid.")
    assert "img" not in await page.get_by_role("status").inner_html()
    await expect(page.get_by_label(LABEL)).to_be_visible()


async def test_it_fits_a_phone(page: Page) -> None:
    layout: dict[str, Any] = await page.evaluate("({whole: document.documentElement.scrollWidth, seen: innerWidth})")

    assert layout["whole"] <= layout["seen"]
