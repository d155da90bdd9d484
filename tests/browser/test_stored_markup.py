"""What a customer said stays words, wherever it is shown: a stored script runs on no page and at no address."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from playwright.async_api import Page, expect

from consentful_server import testing
from kept import keep

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
ADDRESSES = [
    "/",
    "/v1/messages",
    "/v1/dialogs/d-1",
    "/data",
]


async def test_a_stored_script_runs_nowhere(new_page: NewPage) -> None:
    async with testing.serve() as service:
        stored = await keep(service.service, "d-1", [ATTACK], customer_id=ATTACK, bot=ATTACK, metadata={ATTACK: ATTACK})
        page = await new_page(service.url)
        for address in ADDRESSES:
            await page.goto(service.url + address)
            await runs_nothing(page)
        await page.goto(f"{service.url}/explore?show=d-1")
        await expect(page.locator("#dialog .words")).to_have_text(ATTACK)
        await runs_nothing(page)
        for code in (ATTACK, stored.withdrawal_code):
            await page.goto(f"{service.url}/withdraw")
            await page.get_by_role("textbox").fill(code)
            await page.locator("button.main").click()
            await page.locator("[role=status], [role=alert], #told").first.wait_for()
            await runs_nothing(page)


async def runs_nothing(page: Page) -> None:
    assert await page.title() != "owned"
    assert await page.locator('img[src="x"]').count() == 0
