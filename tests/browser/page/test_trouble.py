"""The test page in trouble: connections that are lost, servers that are silent, and frames that are malformed."""

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from consentful_server import testing

from .dialog import NewPage, dialog_over_rest, frames, grant, open_dialog, say


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
