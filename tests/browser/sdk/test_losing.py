"""The JavaScript SDK when connections are lost, replaced and closed for good."""

import pytest
from playwright.async_api import Page


async def test_backoff_is_full_jitter_up_to_ten_seconds(page: Page) -> None:
    longest = await page.evaluate("run(({ sdk }) => [0, 1, 2, 9].map((attempt) => sdk.backoff(attempt, () => 1)))")
    shortest = await page.evaluate("run(({ sdk }) => sdk.backoff(9, () => 0))")

    assert longest == [200, 400, 800, 10_000]
    assert shortest == 0


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4001, 4003, 4499])
async def test_a_loss_is_followed_by_a_replay_from_the_first_message(page: Page, code: int) -> None:
    connections, stored = await page.evaluate(
        """(code) => run(async ({ open, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "consent") Socket.made.length === 1 ? socket.end(code) : socket.store();
          };
          const dialog = await open({ dialogId: "d-1", language: "EN" });
          await dialog.say("one");
          await dialog.say("two", { role: "bot" });
          const stored = await dialog.grant({ purposes: ["a"] });
          const frames = Socket.made.map(({ sent }) => sent.map(({ sent_at, ...frame }) => frame));
          return [frames, stored.withdrawalCode];
        })""",
        code,
    )

    assert stored == "w"
    assert connections[0] == [
        {"type": "open", "customer_id": "c-1", "dialog_id": "d-1", "language": "EN"},
        {"type": "message", "seq": 1, "text": "one", "role": "customer"},
        {"type": "message", "seq": 2, "text": "two", "role": "bot"},
        {"type": "consent", "granted": True, "notice": "n-1", "purposes": ["a"], "last_seq": 2},
    ]
    assert connections[1] == connections[0]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1002, "Refused refused"),
        (1008, "Refused refused"),
        (1009, "Refused refused"),
        (4500, "Refused frame"),
        (4508, "TimedOut idle"),
        (4509, "Conflict conflict"),
        (4510, "Erased erased"),
        (4511, "Superseded superseded"),
        (4512, "Refused open"),
        (4513, "TimedOut duration"),
        (4999, "Refused refused"),
    ],
)
async def test_a_terminal_close_ends_the_dialog_with_an_error_of_its_own(page: Page, code: int, expected: str) -> None:
    failures, connections = await page.evaluate(
        """(code) => run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => frame.type === "message" && socket.end(code);
          const dialog = await open();
          await dialog.say("one");
          await new Promise(setTimeout);
          return [[await failure(dialog.grant()), await failure(dialog.say("two"))], Socket.made.length];
        })""",
        code,
    )

    assert failures == [expected, expected]
    assert connections == 1


async def test_opening_fails_with_what_the_server_said(page: Page) -> None:
    refusal = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.mute = true;
          Socket.answer = (frame, socket) => {
            socket.hear({ type: "error", code: "unauthenticated", detail: "no" });
            socket.end(4501);
          };
          return failure(open({ token: "t" }));
        })"""
    )

    assert refusal == "Unauthorised unauthenticated"


async def test_a_gap_is_filled_from_the_number_that_is_expected(page: Page) -> None:
    seqs = await page.evaluate(
        """run(async ({ open, Socket }) => {
          let gaps = 1;
          Socket.answer = (frame, socket) => {
            if (frame.seq === 3 && gaps-- > 0) socket.hear({ type: "error", code: "gap", detail: "", expected: 2 });
            if (frame.type === "consent") socket.store();
          };
          const dialog = await open();
          for (const text of ["one", "two", "three"]) await dialog.say(text);
          await dialog.say("four");
          await dialog.grant();
          return Socket.made[0].sent.filter(({ seq }) => seq).map(({ seq }) => seq);
        })"""
    )

    assert seqs[-3:] == [2, 3, 4]


async def test_a_server_that_holds_another_text_gets_the_dialog_anew(page: Page) -> None:
    connections = await page.evaluate(
        """run(async ({ open, Socket }) => {
          Socket.answer = (frame, socket) => {
            const isFirst = Socket.made.length === 1;
            if (frame.seq === 2 && isFirst) socket.hear({ type: "error", code: "conflict", detail: "", seq: 1 });
            if (frame.type === "consent") socket.store();
          };
          const dialog = await open();
          for (const text of ["one", "two"]) await dialog.say(text);
          await dialog.grant();
          return Socket.made.map(({ sent }) => sent.filter(({ seq }) => seq).map(({ seq, text }) => [seq, text]));
        })"""
    )

    assert connections == [[[1, "one"], [2, "two"]]] * 2


async def test_without_a_server_it_gives_up_and_may_be_asked_again(page: Page) -> None:
    outcomes = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "open" && Socket.made.length > 1) socket.end(1006);
            if (frame.type === "consent") socket.end(1006);
          };
          const dialog = await open({ reconnectForMs: 0 });
          await dialog.say("one");
          const first = await failure(dialog.grant());
          const added = await failure(dialog.say("two"));
          Socket.answer = (frame, socket) => frame.type === "consent" && socket.store();
          return [first, added, await failure(dialog.grant())];
        })"""
    )

    assert outcomes == ["OutcomeUnknown unknown", "Refused order", "fulfilled"]


async def test_a_message_that_waited_when_it_gave_up_is_not_added(page: Page) -> None:
    """Who says it again, as the error suggests, must not say it twice."""
    outcomes, numbers, said = await page.evaluate(
        """run(async ({ sdk, open, failure, Socket }) => {
          const dialog = await open({ reconnectForMs: 0, dialogId: "d-1" });
          for (let i = 0; i < sdk.WINDOW; i++) await dialog.say(`${i}`);
          const waiting = [failure(dialog.say("wait")), failure(dialog.say("wait too"))];
          Socket.made[0].end(1006);
          const outcomes = await Promise.all(waiting);
          const said = dialog.progress.said;
          Socket.answer = (frame, socket) => {
            if (frame.seq) socket.hear({ type: "ack", seq: frame.seq });
            if (frame.type === "consent") socket.store();
          };
          for (const text of ["wait", "wait too"]) outcomes.push(await failure(dialog.say(text)));
          await dialog.grant();
          const late = Socket.made.at(-1).sent.filter(({ seq }) => seq > sdk.WINDOW);
          return [outcomes, late.map(({ seq, text }) => [seq, text]), said];
        })"""
    )

    assert outcomes == ["Unavailable unavailable"] * 2 + ["fulfilled"] * 2
    assert said == 64
    assert numbers == [[65, "wait"], [66, "wait too"]]


async def test_a_clock_that_is_set_back_does_not_prolong_the_tries(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.mute = true;
          const started = Date.now();
          Date.now = () => started - 3_600_000 * Socket.made.length;
          Socket.answer = (frame, socket) => socket.end(1006);
          return failure(open({ reconnectForMs: 50, token: "t" }));
        })"""
    )

    assert outcome == "Unavailable unavailable"


async def test_a_server_that_was_never_reached_is_unavailable(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.mute = true;
          Socket.answer = (frame, socket) => socket.end(1006);
          return failure(open({ reconnectForMs: 0, token: "t" }));
        })"""
    )

    assert outcome == "Unavailable unavailable"


async def test_a_connection_that_falls_silent_is_replaced(page: Page) -> None:
    await page.clock.install()
    await page.reload()
    await page.evaluate(
        """void (globalThis.outcome = run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => frame.type === "consent" && Socket.made.length > 1 && socket.store();
          const dialog = await open();
          await dialog.say("one");
          return [await failure(dialog.grant()), Socket.made.length];
        }))"""
    )

    await page.clock.run_for(21_000)

    assert await page.evaluate("outcome") == ["fulfilled", 2]


async def test_old_words_are_not_lent_to_a_later_end(page: Page) -> None:
    message = await page.evaluate(
        """run(async ({ open, Socket }) => {
          const dialog = await open();
          Socket.made[0].hear({ type: "error", code: "frame", detail: "$.seq: expected int" });
          await new Promise(setTimeout);
          Socket.answer = (frame, socket) => socket.end(4508);
          await dialog.say("one");
          await new Promise(setTimeout);
          return dialog.grant().catch(({ message }) => message);
        })"""
    )

    assert message == "the dialog was idle for too long; open a new one"
