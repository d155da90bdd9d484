"""The test page's forms: who speaks, what is said, and what of it may be shared."""

from playwright.async_api import Page, expect

from consentful_server import testing

from .dialog import NewPage, open_dialog


async def test_a_sample_fills_the_composer_with_its_language_and_direction(page: Page) -> None:
    await open_dialog(page)

    await page.get_by_role("button", name="العربية").click()

    text = page.get_by_role("textbox", name="Message")
    await expect(text).to_be_focused()
    await text.press("Enter")
    words = page.locator("#said .words")
    await expect(words).to_have_attribute("lang", "ar")
    await expect(words).to_have_css("direction", "rtl")


async def test_role_and_language_go_back_after_a_sample(page: Page) -> None:
    await open_dialog(page)

    await page.get_by_role("button", name="Deutsch").click()
    await page.get_by_role("button", name="العربية").click()
    await page.get_by_role("textbox", name="Message").press("Enter")

    await expect(page.get_by_label("As", exact=True)).to_have_value("customer")
    await expect(page.locator("#message-language")).to_have_value("en")


async def test_what_may_be_shared_is_in_the_address(page: Page, service: testing.Served) -> None:
    await page.get_by_role("textbox", name="Customer").fill("c 7")
    await page.get_by_role("combobox", name="Language").fill("pt-BR")
    await page.get_by_text("Dialog id, bot, token").click()
    await page.get_by_label("Token").fill("secret")
    await expect(page).to_have_url(f"{service.url}/?customer=c+7&language=pt-BR")

    await page.reload()

    await expect(page.get_by_role("textbox", name="Customer")).to_have_value("c 7")
    await expect(page.get_by_role("combobox", name="Language")).to_have_value("pt-BR")
    await expect(page.get_by_label("Token")).to_have_value("")


async def test_a_text_that_is_refused_stays_to_be_mended(new_page: NewPage) -> None:
    async with testing.serve(max_text_bytes=10) as service:
        page = await new_page(service.url)
        await page.goto(service.url)
        await open_dialog(page)

        await page.get_by_role("textbox", name="Message").fill("longer than ten bytes")
        await page.get_by_role("button", name="Send").click()

        await expect(page.locator("#failure")).to_be_visible()
        await expect(page.get_by_role("textbox", name="Message")).to_have_value("longer than ten bytes")


async def test_a_customer_needs_a_name(page: Page) -> None:
    await page.get_by_label("Customer").fill("   ")

    await page.get_by_role("button", name="Open the dialog").click()

    assert not await page.get_by_label("Customer").evaluate("field => field.validity.valid")
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "empty")
