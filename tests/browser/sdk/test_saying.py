"""The JavaScript SDK against a socket whose other end is the test: what is said, within which limits."""

import re

import pytest
from playwright.async_api import Page


async def test_ids_are_uuids_of_version_7_that_sort_by_time(page: Page) -> None:
    earlier, later = await page.evaluate("run(({ sdk }) => [sdk.uuid7(1700000000000), sdk.uuid7(1700000000001)])")

    assert re.fullmatch(r"018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", earlier)
    assert earlier < later


async def test_say_waits_beyond_the_window_and_goes_on_with_the_acks(page: Page) -> None:
    before, sent, after = await page.evaluate(
        """run(async ({ sdk, open, Socket }) => {
          const dialog = await open();
          let said = 0;
          const all = Array.from({ length: sdk.WINDOW + 3 }, () => dialog.say("hi").then(() => said++));
          await all[sdk.WINDOW - 1];
          const before = said - sdk.WINDOW;
          const sent = Socket.made[0].sent.length - 1 - sdk.WINDOW;
          Socket.made[0].hear({ type: "ack", seq: 2 });
          Socket.made[0].hear({ type: "ack", seq: 3 });
          await Promise.all(all);
          return [before, sent, said - sdk.WINDOW];
        })"""
    )

    assert (before, sent, after) == (0, 0, 3)


@pytest.mark.parametrize("text", ["x" * 11, "ä" * 6, "語" * 4])
async def test_a_text_over_the_limit_is_refused_before_it_is_sent(page: Page, text: str) -> None:
    refusal, sent = await page.evaluate(
        """(text) => run(async ({ open, failure, Socket }) => {
          const dialog = await open();
          return [await failure(dialog.say(text)), Socket.made[0].sent.length];
        })""",
        text,
    )

    assert (refusal, sent) == ("TooLong limit", 1)


async def test_a_dialog_over_its_limits_is_refused_and_goes_on(page: Page) -> None:
    refusals = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.limits = { max_text_bytes: 10, max_dialog_bytes: 12, max_messages: 2 };
          const dialog = await open();
          return [await failure(dialog.say("0123456789")), await failure(dialog.say("345")),
            await failure(dialog.say("34")), await failure(dialog.say("5"))];
        })"""
    )

    assert refusals == ["fulfilled", "TooLong limit", "fulfilled", "TooLong limit"]


@pytest.mark.parametrize(
    "about",
    [
        '{ role: "boss" }',
        '{ language: "not a tag" }',
        "{ sentAt: new Date(8.64e15) }",
        '{ sentAt: "0001-01-01T00:00:00+14:00" }',
        '{ sentAt: "yesterday" }',
        '{ sentAt: "2026-01-01T00:00:00" }',
        "{ sentAt: null }",
        "{ sentAt: 0 }",
        "{ role: null }",
        "{ language: {} }",
    ],
)
async def test_what_the_server_would_refuse_is_not_said(page: Page, about: str) -> None:
    script = f"run(async ({{ open, failure }}) => failure((await open()).say('hi', {about})))"

    assert await page.evaluate(script) == "Refused frame"


async def test_what_only_a_newer_server_says_is_ignored(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            socket.hear({ type: "weather", sunny: true });
            socket.hear("not JSON");
            socket.hear({ type: "error", code: "brand_new", detail: "" });
            if (frame.type === "consent") socket.hear({ type: "stored", stored_at: "2026-01-01", colour: "blue" });
          };
          const dialog = await open();
          await dialog.say("one");
          return failure(dialog.grant());
        })"""
    )

    assert outcome == "fulfilled"


async def test_leaving_drops_everything(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure }) => {
          const dialog = await open();
          await dialog.say("one");
          dialog.close();
          return [await failure(dialog.say("two")), await failure(dialog.grant()), dialog.progress.said];
        })"""
    )

    assert outcome == ["Finished finished", "Finished finished", 0]


async def test_a_callback_that_throws_does_not_break_the_dialog(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          addEventListener("error", (event) => event.preventDefault());
          Socket.answer = (frame, socket) => frame.type === "consent" && socket.store();
          const dialog = await open({ onFrame: () => { throw new Error("mine"); } });
          await dialog.say("one");
          return failure(dialog.grant());
        })"""
    )

    assert outcome == "fulfilled"
