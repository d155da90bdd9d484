"""The JavaScript SDK when a grant got no answer: the dialog may be stored."""

import pytest
from playwright.async_api import Page


async def test_a_no_after_an_unanswered_yes_retracts_it(page: Page) -> None:
    yes, no, consents = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.granted === false) socket.hear({ type: "discarded", dialog_id: "d-1", messages: 1 });
          };
          const dialog = await open();
          await dialog.say("one");
          const yes = failure(dialog.grant());
          const no = await dialog.decline();
          return [await yes, no, Socket.made[0].sent.filter(({ type }) => type === "consent")];
        })"""
    )

    assert yes == "OutcomeUnknown unknown"
    assert no == {"dialogId": "d-1", "messages": 1}
    assert consents[1] == {"type": "consent", "granted": False, "retract": True, "last_seq": 1}


async def test_a_no_that_crosses_the_answer_to_a_yes_is_said_again(page: Page) -> None:
    no, frames = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.granted !== false) return;
            if (Socket.made.length > 1) return socket.hear({ type: "discarded", dialog_id: "d-1", messages: 1 });
            socket.store(); // the yes was decided already: the no was never read
            socket.end(1000);
          };
          const dialog = await open();
          await dialog.say("one");
          failure(dialog.grant());
          return [await failure(dialog.decline()), Socket.made[1].sent.map(({ type, retract }) => [type, retract])];
        })"""
    )

    assert no == "fulfilled"
    assert frames == [["open", None], ["consent", True]]


@pytest.mark.parametrize("code", [4501, 4503, 4508, 4511, 1009])
async def test_a_grant_in_doubt_stays_so_whatever_ends_the_connection(page: Page, code: int) -> None:
    first, second, no = await page.evaluate(
        """(code) => run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "consent" && Socket.made.length === 1) socket.end(1006);
            else if (Socket.made.length > 1) socket.end(code);
          };
          const dialog = await open();
          await dialog.say("one");
          const first = await failure(dialog.grant());
          const second = await failure(dialog.decline());
          Socket.answer = (frame, socket) =>
            frame.granted === false && socket.hear({ type: "discarded", dialog_id: "d-1", messages: 1 });
          return [first, second, await failure(dialog.decline())];
        })""",
        code,
    )

    assert (first, second, no) == ("OutcomeUnknown unknown", "OutcomeUnknown unknown", "fulfilled")


@pytest.mark.parametrize("code", ["purposes", "notice", "empty"])
async def test_a_later_refusal_does_not_end_the_doubt_of_an_earlier_connection(page: Page, code: str) -> None:
    outcomes, no = await page.evaluate(
        """(code) => run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "consent" && Socket.made.length === 1) socket.end(1006);
            else if (frame.granted) socket.hear({ type: "error", code, detail: "" });
            else if (frame.type === "consent") socket.hear({ type: "discarded", dialog_id: "d-1", messages: 1 });
          };
          const dialog = await open();
          await dialog.say("one");
          const [yes, more] = [await failure(dialog.grant()), await failure(dialog.say("two"))];
          return [[yes, more, await failure(dialog.decline())], Socket.made.at(-1).sent.at(-1)];
        })""",
        code,
    )

    assert outcomes == [f"Incomplete {code}", "Refused order", "fulfilled"]
    assert no == {"type": "consent", "granted": False, "retract": True, "last_seq": 1}, "the first may have stored it"


async def test_leaving_a_grant_in_doubt_says_so_and_leaving_again_leaves(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure }) => {
          const dialog = await open();
          await dialog.say("one");
          const grant = failure(dialog.grant());
          dialog.close();
          const kept = dialog.progress.said;
          dialog.close();
          return [await grant, kept, await failure(dialog.decline())];
        })"""
    )

    assert outcome == ["OutcomeUnknown unknown", 1, "Finished finished"]


@pytest.mark.parametrize("code", ["purposes", "notice", "empty", "incomplete"])
async def test_a_no_does_not_take_the_answer_to_the_yes_that_it_overtook(page: Page, code: str) -> None:
    outcome = await page.evaluate(
        """(code) => run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.granted !== false) return;
            socket.hear({ type: "error", code, detail: "", expected: 1 });
            socket.hear({ type: "discarded", dialog_id: "d-1", messages: 1 });
          };
          const dialog = await open();
          await dialog.say("one");
          failure(dialog.grant());
          return failure(dialog.decline());
        })""",
        code,
    )

    assert outcome == "fulfilled"
