"""The test page, when the customer decides: what is stored then, shown, and erased again."""

import json

from msgspec.structs import replace
from playwright.async_api import Page, expect

from consentful_server import testing

from .dialog import NewPage, dialog_over_rest, erase, grant, open_dialog, say


async def test_what_was_granted_is_stored_and_shown(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await expect(page.locator("#notice-text")).to_contain_text("May we keep this conversation")
    await say(page, "Where is my parcel?")
    await say(page, "مرحبا 🙂 語")

    await grant(page)

    kept = page.locator("#kept-messages tbody tr")
    await expect(kept).to_have_count(2)
    await expect(kept.nth(1)).to_contain_text("مرحبا 🙂 語")
    await expect(page.locator("#withdrawal-code")).not_to_be_empty()
    await expect(page.locator("#receipt summary")).to_contain_text("signature valid")
    status, body = await dialog_over_rest(service, dialog_id)
    assert status == 200
    assert len(body["messages"]) == 2


async def test_the_receipt_is_shown_decoded(page: Page) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Hello")
    await grant(page)

    await page.locator("#receipt summary").click()

    payload = json.loads(await page.locator("#receipt pre").nth(1).inner_text())
    assert payload["jti"] == dialog_id
    assert payload["messages"] == 1


async def test_of_what_was_declined_nothing_is_stored(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Forget me")

    await page.get_by_role("button", name="Decline").click()

    await expect(page.locator("#kept")).to_have_attribute("data-state", "absent")
    await expect(page.locator("#outcome-text")).to_contain_text("1 message discarded")
    await expect(page.locator("#said")).not_to_contain_text("Forget me")
    assert (await dialog_over_rest(service, dialog_id))[0] == 404


async def test_leaving_stores_nothing(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Forget me")

    await page.get_by_role("button", name="Close without deciding").click()

    await expect(page.locator("#kept")).to_have_attribute("data-state", "absent")
    assert (await dialog_over_rest(service, dialog_id))[0] == 404


async def test_what_was_stored_can_be_erased(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Hello")
    await grant(page)

    await erase(page)

    await expect(page.locator("#kept")).to_have_attribute("data-state", "gone")
    await expect(page.locator("#kept-body")).to_contain_text("410")
    await expect(page.locator("#outcome-text")).to_contain_text("key is destroyed")
    assert (await dialog_over_rest(service, dialog_id))[0] == 410


async def test_an_erased_id_cannot_be_used_again(page: Page) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Hello")
    await grant(page)
    await erase(page)
    await expect(page.locator("#kept")).to_have_attribute("data-state", "gone")

    await page.get_by_role("button", name="New dialog").click()
    await page.get_by_text("Dialog id, bot, token").click()
    await page.get_by_label("Dialog id").fill(dialog_id)
    await page.get_by_role("button", name="Open the dialog").click()
    await say(page, "Hello again")
    await page.get_by_role("button", name="Grant").click()

    await expect(page.locator("#failure")).to_contain_text("(erased)")


async def test_purposes_are_shown_by_their_names_and_granted_by_their_ids(new_page: NewPage) -> None:
    async with testing.serve() as service:
        shown = service.service.catalogue.for_language("en")
        purposes, names = ("improve-chatbot", "train-models"), ("Improving the chatbot", "Training <b>models</b>")
        await service.service.offer.add([replace(shown, id="named", purposes=purposes, purpose_names=names)])
        await service.service.offer.refresh()
        page = await new_page(service.url)
        await page.goto(service.url)

        dialog_id = await open_dialog(page)
        await say(page, "Hello")
        await page.get_by_label("Improving the chatbot").uncheck()
        await expect(page.get_by_label("Training <b>models</b>")).to_be_checked()
        await grant(page)

        assert (await dialog_over_rest(service, dialog_id))[1]["purposes"] == ["train-models"]


async def test_names_of_purposes_say_their_language(new_page: NewPage) -> None:
    async with testing.serve() as service:
        shown = service.service.catalogue.for_language("en")
        names = ("Verbesserung",)
        await service.service.offer.add([replace(shown, id="named", language="de", purpose_names=names)])
        await service.service.offer.refresh()
        page = await new_page(service.url)
        await page.goto(f"{service.url}/?language=de-AT")

        await open_dialog(page)

        await expect(page.locator("#purposes [lang=de]")).to_have_text("Verbesserung")


async def test_without_a_purpose_nothing_is_stored_and_the_dialog_goes_on(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Hello")
    await page.get_by_label("improve-chatbot").uncheck()
    await page.get_by_role("button", name="Grant").click()
    await expect(page.locator("#failure")).to_contain_text("(purposes)")
    await expect(page.locator("#state")).to_have_text("open: in memory only")

    await page.get_by_label("improve-chatbot").check()
    await grant(page)

    await expect(page.locator("#failure")).to_be_hidden()


async def test_an_error_of_the_rest_interface_is_told_and_can_be_tried_again(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Hello")
    await page.route(
        "**/v1/dialogs/*", lambda route: route.fulfill(status=418, json={"detail": "a teapot", "code": "tea"})
    )
    await page.get_by_role("button", name="Grant").click()
    await expect(page.locator("#kept .failure")).to_have_text("a teapot (tea)")

    await page.unroute("**/v1/dialogs/*")
    await page.get_by_role("button", name="Retry").click()

    await expect(page.locator("#kept-messages tbody tr")).to_have_count(1)


async def test_to_erase_is_asked_twice(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Hello")
    await grant(page)
    await page.get_by_role("button", name="Erase this dialog").click()
    await expect(page.get_by_role("button", name="Keep it")).to_be_focused()

    await page.keyboard.press("Escape")

    await expect(page.locator("dialog")).to_have_count(0)
    assert (await dialog_over_rest(service, dialog_id))[0] == 200
