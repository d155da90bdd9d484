"""The JavaScript SDK when the server refuses a message that was said earlier."""

import pytest
from playwright.async_api import Page


async def test_a_message_is_taken_out_after_an_incomplete_consent_that_decided_nothing(page: Page) -> None:
    outcome, said = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          let refusals = 0;
          Socket.answer = (frame, socket) => {
            if (Socket.made.length > 1) return;
            if (frame.type === "consent") socket.hear({ type: "error", code: "incomplete", detail: "", expected: 0 });
            else if (frame.seq === 1 && refusals++) socket.hear({ type: "error", code: "limit", detail: "", seq: 1 });
          };
          const dialog = await open();
          await dialog.say("one");
          return [await failure(dialog.grant()), dialog.progress.said];
        })"""
    )

    assert (outcome, said) == ("MessageRefused limit", 0)


@pytest.mark.parametrize("seq", ["seq: 2,", ""])
async def test_a_message_that_the_server_refuses_is_taken_out_and_the_dialog_goes_on(page: Page, seq: str) -> None:
    refusal, then, replayed, stored = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          const dialog = await open();
          for (const text of ["one", "two", "three"]) await dialog.say(text);
          Socket.made[0].hear({ type: "ack", seq: 1 });
          Socket.made[0].hear({ type: "error", SEQ code: "frame", detail: "$.language: not a tag here" });
          Socket.made[0].hear({ type: "error", seq: 3, code: "gap", detail: "", expected: 2 });
          const opened = new Promise((resolve) => (Socket.answer = (frame) => frame.seq === 2 && resolve()));
          await opened;
          const refusal = await dialog.say("four").catch(({ message, seq }) => [message, seq]);
          const then = await failure(dialog.say("four"));
          Socket.answer = (frame, socket) => frame.type === "consent" && socket.store();
          const stored = await failure(dialog.grant());
          const sent = Socket.made[1].sent.map(({ seq, text, last_seq }) => text ? [seq, text] : last_seq);
          return [refusal, then, sent, stored];
        })""".replace("SEQ", seq)
    )

    assert refusal == [
        "the server refused message 2 ($.language: not a tag here), and the dialog goes on without it",
        2,
    ]
    assert (then, stored) == ("fulfilled", "fulfilled")
    assert replayed == [None, [1, "one"], [2, "three"], [3, "four"], 3]


async def test_a_grant_is_told_of_a_refused_message_and_decides_nothing(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (Socket.made.length > 1) return socket.store();
            socket.hear({ type: "ack", seq: 1 });
            socket.hear({ type: "error", seq: 2, code: "limit", detail: "smaller here" });
            socket.hear({ type: "error", code: "incomplete", detail: "", expected: 1 });
          };
          const dialog = await open();
          await dialog.say("one");
          await dialog.say("two");
          return [await failure(dialog.grant()), await failure(dialog.grant()), Socket.made[1].sent.at(-1).last_seq];
        })"""
    )

    assert outcome == ["MessageRefused limit", "fulfilled", 1]


async def test_a_no_is_not_told_of_a_refused_message_and_arrives(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          const dialog = await open();
          await dialog.say("one");
          const no = failure(dialog.decline());
          Socket.made[0].hear({ type: "error", seq: 1, code: "frame", detail: "" });
          Socket.made[0].hear({ type: "discarded", dialog_id: "d-1", messages: 0 });
          return no;
        })"""
    )

    assert outcome == "fulfilled"


async def test_a_message_that_a_later_server_will_not_hold_ends_the_dialog(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "consent") socket.end(1006);
            if (frame.seq === 1 && Socket.made.length > 1) {
              socket.hear({ type: "error", code: "limit", detail: "smaller here", seq: 1, expected: 1 });
            }
          };
          const dialog = await open();
          await dialog.say("one");
          return failure(dialog.grant());
        })"""
    )

    assert outcome == "OutcomeUnknown unknown", "the first server may have stored it"
