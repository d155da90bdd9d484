"""What a person does on the test page, and what is seen of it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
from playwright.async_api import Locator, Page, expect

from consentful_server import testing

NewPage: TypeAlias = Callable[..., Awaitable[Page]]


async def open_dialog(page: Page, customer: str = "c-42") -> str:
    """Open a dialog on the page and return its id."""
    await page.get_by_role("textbox", name="Customer").fill(customer)
    await page.get_by_role("button", name="Open the dialog").click()
    await expect(page.locator("#state")).to_have_text("open: in memory only")
    return await page.locator("#facts dd").first.inner_text()


async def say(page: Page, text: str) -> None:
    """Say it, and wait until the server holds it."""
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.get_by_role("textbox", name="Message").press("Enter")
    await expect(page.locator("#said li").last).to_contain_text(text)  # until then, the last one is the one before
    await expect(page.locator("#said li").last).to_have_attribute("data-held", "true")


async def grant(page: Page) -> None:
    await page.get_by_role("button", name="Grant").click()
    await expect(page.locator("#kept")).to_have_attribute("data-state", "full")


async def erase(page: Page) -> None:
    await page.get_by_role("button", name="Erase this dialog").click()
    await page.get_by_role("button", name="Erase for good").click()


def frames(page: Page, kind: str, type_: str) -> Locator:
    """The log's rows of one type, `sent` or `received`."""
    return page.locator(f'#frame-rows tr[data-kind="{kind}"][data-type="{type_}"]')


async def dialog_over_rest(service: testing.Served, dialog_id: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{service.url}/v1/dialogs/{dialog_id}") as answer:
        return answer.status, await answer.json()
