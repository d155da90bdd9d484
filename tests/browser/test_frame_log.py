"""The frame log of the test page, and what its reader can do with frames."""

import json
from pathlib import Path

from playwright.async_api import Page, expect

from consentful_server import testing

from .page.dialog import NewPage, dialog_over_rest, frames, grant, open_dialog, say


async def send_raw(page: Page, frame: str) -> None:
    if not await page.locator("#raw-text").is_visible():
        await page.get_by_text("Test failures").click()
    await page.locator("#raw-text").fill(frame)
    await page.get_by_role("button", name="Send unchanged").click()


async def test_frames_are_found_by_text_direction_and_type(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Where is my parcel?")
    await say(page, "Thank you")
    rows = page.locator("#frame-rows tr")

    await page.get_by_label("Search frames").fill("PARCEL")
    await expect(rows).to_have_count(1)
    await expect(page.locator("#frame-count")).to_contain_text("1 of ")

    await page.get_by_label("Search frames").fill("")
    await page.get_by_label("Direction").select_option("received")
    await page.get_by_label("Type").select_option("ack")
    await expect(rows).to_have_count(2)
    await say(page, "And goodbye")
    await expect(rows).to_have_count(3)  # what arrives meanwhile is filtered, too

    await page.get_by_label("Type").select_option("")
    await page.get_by_label("Direction").select_option("")
    await expect(page.locator("#frame-rows tr[data-type=message]")).to_have_count(3)


async def test_a_frame_is_shown_whole_copied_and_sent_again(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Where is my parcel?")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = frames(page, "sent", "message").first

    await row.locator("summary").click()

    shown = json.loads(await row.locator("pre").inner_text())
    assert (shown["type"], shown["seq"], shown["text"]) == ("message", 1, "Where is my parcel?")
    await row.get_by_role("button", name="Copy the frame").click()
    await expect(row.get_by_role("button", name="Copy the frame")).to_have_text("Copied")
    assert json.loads(await page.evaluate("navigator.clipboard.readText()")) == shown
    await row.get_by_role("button", name="Send again").click()
    await expect(frames(page, "sent", "message")).to_have_count(2)
    await expect(frames(page, "received", "ack")).to_have_count(2)  # a replay


async def test_a_session_is_saved_as_it_was_on_the_wire(page: Page, tmp_path: Path) -> None:
    await open_dialog(page)
    await say(page, "Where is my parcel?")

    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Save").click()
    await (await saving.value).save_as(tmp_path / "frames.ndjson")

    lines = [json.loads(line) for line in (tmp_path / "frames.ndjson").read_text("utf-8").splitlines()]
    assert [json.loads(line["data"])["type"] for line in lines if line["kind"] != "event"] == [
        *("open", "opened", "message", "ack"),
    ]
    assert all(line["at"].endswith("Z") for line in lines)


async def test_rows_that_are_no_longer_shown_are_counted(page: Page) -> None:
    count = await page.evaluate(
        """async () => {
          const { FrameLog } = await import("./static/framelog.js");
          const [body, status] = [document.getElementById("frame-rows"), document.getElementById("frame-count")];
          const log = new FrameLog(body, status, () => {});
          const drawn = () => new Promise(requestAnimationFrame);
          for (let number = 0; number < 1200; number++) log.event(`event ${number}`);
          await drawn();
          const shown = [body.rows.length, status.textContent];
          for (let number = 0; number < 4000; number++) log.event(`event ${number}`);
          await drawn();
          return [...shown, status.textContent];
        }"""
    )

    assert count == [400, "1,200 rows, 800 earlier not shown", "5,000 rows, 4,600 earlier not shown, 200 forgotten"]


async def test_times_have_milliseconds(page: Page) -> None:
    await open_dialog(page)

    assert await page.locator("#frame-rows time").first.evaluate(
        r"time => /^\d\d:\d\d:\d\d\.\d{3}$/.test(time.textContent)"
    )


async def test_after_a_raw_message_the_page_and_the_server_agree_again(page: Page, service: testing.Served) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "one")

    await send_raw(page, '{"type":"message","seq":2,"text":"raw"}')

    await expect(page.locator("#frame-rows")).to_contain_text("the SDK did not send: replaying")
    await expect(frames(page, "received", "opened")).to_have_count(2)
    await say(page, "two")
    await grant(page)
    _, body = await dialog_over_rest(service, dialog_id)
    assert [message["text"] for message in body["messages"]] == ["one", "two"]


async def test_another_text_under_an_old_number_is_a_conflict_and_the_dialog_is_replayed(
    page: Page, service: testing.Served
) -> None:
    dialog_id = await open_dialog(page)
    await say(page, "one")

    await send_raw(page, '{"type":"message","seq":1,"text":"raw"}')

    await expect(frames(page, "received", "error")).to_contain_text('"code":"conflict"')
    await expect(frames(page, "received", "opened")).to_have_count(2)
    await grant(page)
    _, body = await dialog_over_rest(service, dialog_id)
    assert [message["text"] for message in body["messages"]] == ["one"]


async def test_a_raw_decision_ends_the_dialog_on_the_page_too(page: Page) -> None:
    await open_dialog(page)
    await say(page, "one")

    await send_raw(page, '{"type":"consent","granted":true,"last_seq":1}')

    await expect(page.locator("#outcome-text")).to_contain_text("a decision: stored")
    await expect(page.locator("#kept")).to_have_attribute("data-state", "full")


async def test_a_thousand_messages_leave_composer_and_status_in_sight(new_page: NewPage) -> None:
    async with testing.serve() as service:
        page = await new_page(service.url)
        await open_dialog(page)
        await page.evaluate(
            """() => {
              const [text, form] = [document.getElementById("text"), document.getElementById("composer")];
              for (let number = 1; number <= 1200; number++) {
                text.value = `message ${number}`;
                form.requestSubmit();
              }
            }"""
        )
        await expect(page.locator("#said li[data-held=true]")).to_have_count(1200, timeout=60_000)

        await expect(page.get_by_role("textbox", name="Message")).to_be_in_viewport()
        await expect(page.locator("#state")).to_be_in_viewport()
        await expect(page.locator("#said li").last).to_be_in_viewport()
        await grant(page)
        await expect(page.locator("#outcome-text")).to_contain_text("1,200 messages stored")
