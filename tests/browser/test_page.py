"""The test page, driven as a developer drives it, against the real service."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import aiohttp
import pytest
from msgspec.structs import replace
from playwright.async_api import Locator, Page, Route, expect

from consentful_server import testing

from .looks import CONTRAST, fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


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


async def test_a_dropped_connection_is_replayed_and_stored_once(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "one")
    await say(page, "two")
    await page.get_by_text("Test failures").click()

    await page.get_by_role("button", name="Drop the connection").click()

    await expect(frames(page, "sent", "message")).to_have_count(4)
    await expect(page.locator('#said li[data-held="true"]')).to_have_count(2)
    await expect(page.locator("#frame-rows")).to_contain_text("cut: closed 1006")
    await say(page, "three")
    await grant(page)
    await expect(page.locator("#kept-messages tbody tr")).to_have_count(3)
    _, body = await dialog_over_rest(service, dialog_id)
    assert [message["text"] for message in body["messages"]] == ["one", "two", "three"]


async def test_a_replay_after_the_decision_gets_the_same_answer(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Hello")
    await grant(page)
    code = await page.locator("#withdrawal-code").inner_text()

    await page.get_by_role("button", name="Replay").click()

    await expect(frames(page, "received", "stored")).to_have_count(2)
    await expect(page.locator("#withdrawal-code")).to_have_text(code)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("not JSON", "frame"),
        ("unknown field", "frame"),
        ("unknown type", "frame"),
        ("wrong type", "frame"),
        ("empty text", "frame"),
        ("gap in seq", "gap"),
        ("text too long", "limit"),
        ("second open", "order"),
        ("grant with a message missing", "incomplete"),
    ],
)
async def test_a_malformed_frame_is_refused_and_the_dialog_goes_on(page: Page, name: str, code: str) -> None:
    await open_dialog(page)
    await say(page, "before")
    await page.get_by_text("Test failures").click()

    await page.get_by_label("Malformed frame").select_option(name)
    await page.get_by_role("button", name="Send unchanged").click()

    await expect(frames(page, "received", "error")).to_contain_text(f'"code":"{code}"')
    await say(page, "after")
    await grant(page)
    await expect(page.locator("#kept-messages tbody tr")).to_have_count(2)


async def test_a_frame_of_free_text_goes_out_as_it_stands(page: Page) -> None:
    await open_dialog(page)
    await page.get_by_text("Test failures").click()

    await page.locator("#raw-text").fill("Hello?")
    await page.get_by_role("button", name="Send unchanged").click()

    await expect(page.locator('#frame-rows tr[data-kind="sent"]').last).to_contain_text("Hello?")
    await expect(frames(page, "received", "error")).to_contain_text('"code":"frame"')


async def test_markup_is_shown_as_text_everywhere(page: Page) -> None:
    title = await page.title()
    await open_dialog(page, customer=ATTACK)
    await say(page, ATTACK)
    await expect(frames(page, "sent", "message")).to_contain_text("onerror")

    await grant(page)

    await expect(page.locator("#kept-messages .words")).to_have_text(ATTACK)
    await expect(page.locator("#said .words")).to_have_text(ATTACK)
    await expect(page.locator("main img, main script")).to_have_count(0)
    assert await page.title() == title


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


async def test_to_erase_is_asked_twice(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "Hello")
    await grant(page)
    await page.get_by_role("button", name="Erase this dialog").click()
    await expect(page.get_by_role("button", name="Keep it")).to_be_focused()

    await page.keyboard.press("Escape")

    await expect(page.locator("dialog")).to_have_count(0)
    assert (await dialog_over_rest(service, dialog_id))[0] == 200


async def test_an_outage_is_told_beside_the_decision(new_page: NewPage) -> None:
    async with testing.serve() as service:
        page = await new_page(service.url)
        await open_dialog(page)
        await say(page, "Hello")
        await expect(page.locator("#outage")).to_be_empty()
    await expect(page.locator("#decision #outage")).to_contain_text("No connection.")


async def test_silence_is_warned_of_and_then_forgotten(new_page: NewPage) -> None:
    clock = testing.FakeClock()
    async with testing.serve(clock=clock) as service:
        page = await new_page(service.url)
        await open_dialog(page)
        await say(page, "Hello?")
        await expect(page.locator("#clock")).to_contain_text(re.compile(r"expires in 1[45]:\d\d"))

        clock.advance(880)
        await expect(frames(page, "received", "closing")).to_contain_text('"reason":"idle"')
        await expect(page.locator("#clock")).to_contain_text("closing (idle) in 0:")

        clock.advance(30)
        await expect(page.locator("#outcome-text")).to_contain_text("the dialog was idle for too long")
        await expect(page.locator("#said")).not_to_contain_text("Hello?")


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


async def test_one_can_stop_waiting_for_a_server_that_does_not_answer(page: Page) -> None:
    await page.route_web_socket("**/v1/dialogs/live", lambda socket: socket.on_message(lambda _: None))
    await page.reload()
    await page.get_by_role("button", name="Open the dialog").click()
    await expect(page.locator("#state")).to_have_text("opening …")

    await page.get_by_role("button", name="Cancel").click()

    await expect(page.locator("#state")).to_have_text("not open")
    await expect(page.get_by_role("button", name="Open the dialog")).to_be_enabled()


async def test_one_can_stop_before_its_modules_are_loaded(page: Page) -> None:
    is_stopped = asyncio.Event()

    async def stopped(route: Route) -> None:
        await page.get_by_role("button", name="Cancel").click()
        await route.continue_()
        is_stopped.set()  # the page is closed after the test, and must not be used then

    await page.route("**/malformed.js", stopped)
    await page.reload()
    await page.get_by_role("button", name="Open the dialog").click()
    await is_stopped.wait()

    await expect(page.locator("#state")).to_have_text("not open")


async def test_the_whole_way_works_with_the_keyboard_alone(page: Page) -> None:
    async def tab_to(name: str) -> None:
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == name:
                return
        raise AssertionError(f"Tab does not reach {name}")

    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await tab_to("open")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    await page.keyboard.type("Hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("there")
    await page.keyboard.press("Enter")
    await expect(page.locator("#said li")).to_have_attribute("data-held", "true")
    await expect(page.locator("#said .words")).to_have_text("Hello\nthere")
    await tab_to("grant")
    outline = await page.locator("#grant").evaluate("button => getComputedStyle(button).outlineStyle")
    assert outline == "solid"

    await page.keyboard.press("Enter")

    await expect(page.locator("#kept")).to_have_attribute("data-state", "full")
    await expect(page.get_by_role("button", name="New dialog")).to_be_focused()


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


async def test_a_phone_needs_no_sideways_scrolling(service: testing.Served, new_page: NewPage) -> None:
    page = await new_page(service.url, width=390)

    assert await fits(page)
    await open_dialog(page, customer="c" * 200)
    await say(page, "w" * 300)
    await page.get_by_text("Test failures").click()
    assert await fits(page)
    await grant(page)
    await page.locator("#receipt summary").click()
    assert await fits(page)


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
async def test_both_schemes_are_readable(
    service: testing.Served, new_page: NewPage, scheme: Literal["light", "dark"], is_dark: bool
) -> None:
    page = await new_page(service.url, scheme=scheme)
    assert await page.evaluate(CONTRAST) == []
    await open_dialog(page)
    await say(page, "Hello")
    await page.get_by_text("Test failures").click()
    await page.get_by_label("Malformed frame").select_option("wrong type")
    await page.get_by_role("button", name="Send unchanged").click()
    await expect(frames(page, "received", "error")).to_have_count(1)
    assert await page.evaluate(CONTRAST) == []

    await grant(page)

    await expect(page.locator("#receipt .chip")).to_be_visible()
    assert await page.evaluate(CONTRAST) == []
    background = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(re.findall(r"\d+", background)[0])
    assert (red < 128) is is_dark


async def test_everything_has_a_name_and_no_id_is_used_twice(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Hello")
    await grant(page)

    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, summary, a")]
          .filter((node) => !(node.textContent.trim() || node.labels?.length || node.ariaLabel))
          .map((node) => node.outerHTML)"""
    )
    ids: list[str] = await page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")

    assert nameless == []
    assert len(ids) == len(set(ids))


async def test_the_page_is_small(page: Page) -> None:
    sent: dict[str, int] = await page.evaluate(
        """Object.fromEntries(["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
          .map(({ name, encodedBodySize }) => [name.slice(name.lastIndexOf("/") + 1), encodedBodySize]))"""
    )

    assert {"", "consentful.js", "page.css"} <= sent.keys()
    assert all(sent.values())
    assert sum(sent.values()) < 40_000


async def test_the_policy_lets_nothing_in_from_elsewhere(page: Page) -> None:
    answer = await page.reload()

    assert answer is not None
    policy = (await answer.all_headers())["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_page_ends_with_its_panels_however_many_frames_there_are(page: Page) -> None:
    """What is hidden in the log, for screen readers, is placed in the log, and not below the page."""
    await open_dialog(page)
    for number in range(30):
        await say(page, f"message {number}")

    below = await page.evaluate(
        """() => {
          const ends = [...document.querySelectorAll(".panel")].map((panel) => panel.getBoundingClientRect().bottom);
          return document.documentElement.scrollHeight - scrollY - Math.max(...ends);
        }"""
    )

    assert below < 60


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
