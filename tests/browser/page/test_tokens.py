"""The test page at a server that demands a token."""

from playwright.async_api import expect

from consentful_server import testing

from ..looks import fits, violations
from .dialog import NewPage, grant, open_dialog, say


async def test_tokens(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        key = await service.create_key()
        page = await new_page(service.url)
        await page.get_by_role("button", name="Open the dialog").click()
        await expect(page.locator("#failure")).to_contain_text("a token is required")

        await page.get_by_label("Token").fill("wrong")
        await page.get_by_role("button", name="Open the dialog").click()
        await expect(page.locator("#failure")).to_contain_text("(unauthenticated)")
        await expect(page.locator("#failure")).not_to_contain_text("a token is required")

        await page.get_by_label("Token").fill(key)
        await open_dialog(page)
        await say(page, "Hello")
        await grant(page)
        assert key not in page.url
        assert key not in await page.locator("#frame-rows").inner_text()


async def test_a_key_that_is_revoked_before_the_decision_costs_no_word(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        page = await new_page(service.url, 390)
        key, another = await service.create_key(), await service.create_key()
        await page.get_by_text("Dialog id, bot, token").click()
        await page.get_by_label("Token").fill(key)
        await open_dialog(page)
        await say(page, "Hello")
        await say(page, "again")
        await service.revoke_key(key)
        await page.get_by_role("button", name="Grant").click()

        told = page.get_by_role("alert").filter(has_text="Nothing was stored: the server no longer accepts the token")
        await expect(told).to_be_in_viewport(ratio=1)
        assert await told.evaluate("told => told.compareDocumentPosition(document.getElementById('token')) & 4")
        await expect(page.locator("#state")).to_have_text("unauthenticated")
        await expect(page.get_by_label("Token")).to_be_focused()
        await expect(page.locator("#said .words")).to_have_text(["Hello", "again"])
        await expect(page.locator("#said li[data-held=true]")).to_have_count(0)
        await expect(page.get_by_role("button", name="Grant")).to_be_hidden()
        assert (await fits(page), await violations(page)) == (True, [])

        await page.get_by_label("Token").fill("wrong")
        await page.get_by_role("button", name="Open the dialog").click()
        await expect(page.locator("#failure")).to_contain_text("(unauthenticated)")
        await expect(page.locator("#state")).to_have_text("unauthenticated")
        await expect(page.locator("#said .words")).to_have_text(["Hello", "again"])  # and still costs none
        await expect(told).to_be_visible()

        await page.get_by_label("Token").fill(another)
        await page.get_by_role("button", name="Open the dialog").click()
        await expect(page.locator("#said li[data-held=true]")).to_have_count(2)
        await expect(page.locator("#failure")).to_be_hidden()
        await expect(told).to_be_hidden()
        await grant(page)
        await expect(page.locator("#outcome-text")).to_contain_text("2 messages stored")


async def test_a_token_that_is_demanded_can_be_typed_at_once(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        page = await new_page(service.url)
        await page.goto(service.url)

        await page.get_by_role("button", name="Open the dialog").click()

        await expect(page.get_by_label("Token")).to_be_focused()
        await expect(page.locator("#failure")).to_contain_text("(unauthenticated)")


async def test_a_key_that_only_writes_gets_its_code_and_its_receipt(new_page: NewPage) -> None:
    """They come with `stored`: whether the key may read the dialog does not matter."""
    async with testing.serve(auth="keys") as service:
        page = await new_page(service.url)
        await page.goto(service.url)
        await page.get_by_text("Dialog id, bot, token").click()
        await page.get_by_label("Token").fill(await service.create_key("dialogs:write"))
        await open_dialog(page)
        await say(page, "Hello")

        await page.get_by_role("button", name="Grant").click()

        await expect(page.locator("#kept")).to_have_attribute("data-state", "error")
        await expect(page.locator("#withdrawal-code")).not_to_be_empty()
        await expect(page.locator("#receipt summary")).to_be_visible()
