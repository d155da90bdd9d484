"""The JavaScript SDK against a socket whose other end is the test; it runs where it will: in a browser."""

import re

import pytest
from playwright.async_api import Page


async def test_ids_are_uuids_of_version_7_that_sort_by_time(page: Page) -> None:
    earlier, later = await page.evaluate("run(({ sdk }) => [sdk.uuid7(1700000000000), sdk.uuid7(1700000000001)])")

    assert re.fullmatch(r"018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", earlier)
    assert earlier < later


async def test_backoff_is_full_jitter_up_to_ten_seconds(page: Page) -> None:
    longest = await page.evaluate("run(({ sdk }) => [0, 1, 2, 9].map((attempt) => sdk.backoff(attempt, () => 1)))")
    shortest = await page.evaluate("run(({ sdk }) => sdk.backoff(9, () => 0))")

    assert longest == [200, 400, 800, 10_000]
    assert shortest == 0


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
        (4501, "Unauthorised unauthenticated"),
        (4503, "Forbidden forbidden"),
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


async def test_an_incomplete_dialog_is_completed_and_the_consent_sent_again(page: Page) -> None:
    sent = await page.evaluate(
        """run(async ({ open, Socket }) => {
          let consents = 0;
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (consents++ === 0) socket.hear({ type: "error", code: "incomplete", detail: "", expected: 1 });
            else socket.store();
          };
          const dialog = await open();
          await dialog.say("one");
          await dialog.say("two");
          await dialog.grant();
          return Socket.made[0].sent.map(({ type, seq, last_seq }) => [type, seq ?? last_seq]);
        })"""
    )

    assert sent[1:] == [["message", 1], ["message", 2], ["consent", 2], ["message", 2], ["consent", 2]]


async def test_after_a_storage_failure_the_same_consent_is_sent_again(page: Page) -> None:
    consents = await page.evaluate(
        """run(async ({ open, Socket }) => {
          let failures = 2;
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (failures-- > 0) socket.hear({ type: "error", code: "storage", detail: "", retry: true });
            else socket.store();
          };
          const dialog = await open();
          await dialog.say("one");
          await dialog.grant({ purposes: ["b"] });
          return Socket.made[0].sent.filter(({ type }) => type === "consent");
        })"""
    )

    assert len(consents) == 3
    assert consents[0] == consents[1] == consents[2]


async def test_a_server_that_stores_nothing_is_left_for_another(page: Page) -> None:
    consents = await page.evaluate(
        """run(async ({ open, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (socket === Socket.made[0]) socket.hear({ type: "error", code: "storage", detail: "", retry: true });
            else socket.store();
          };
          const dialog = await open();
          await dialog.say("one");
          await dialog.grant();
          return Socket.made.map(({ sent }) => sent.filter(({ type }) => type === "consent").length);
        })"""
    )

    assert consents == [3, 1]


async def test_a_refused_consent_leaves_the_dialog_open(page: Page) -> None:
    refusal, then = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (frame.last_seq === 0) socket.hear({ type: "error", code: "empty", detail: "say something" });
            else socket.store();
          };
          const dialog = await open();
          const refusal = await failure(dialog.grant());
          await dialog.say("one");
          return [refusal, await failure(dialog.grant())];
        })"""
    )

    assert (refusal, then) == ("Incomplete empty", "fulfilled")


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


async def test_a_consent_that_the_server_cannot_take_leaves_the_dialog_open(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          let refusals = 1;
          Socket.answer = (frame, socket) => {
            if (frame.type === "message") socket.hear({ type: "ack", seq: frame.seq });
            if (frame.type !== "consent") return;
            if (refusals--) socket.hear({ type: "error", code: "frame", detail: "$.given_by: unknown" });
            else socket.store();
          };
          const dialog = await open();
          await dialog.say("one");
          return [await failure(dialog.grant()), await failure(dialog.grant())];
        })"""
    )

    assert outcome == ["Incomplete frame", "fulfilled"]


async def test_a_plain_no_retracts_nothing(page: Page) -> None:
    consent = await page.evaluate(
        """run(async ({ open, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "consent") socket.hear({ type: "discarded", dialog_id: "d-1", messages: 0 });
          };
          await (await open()).decline();
          return Socket.made[0].sent[1];
        })"""
    )

    assert consent == {"type": "consent", "granted": False, "last_seq": 0}


async def test_a_token_callback_is_asked_for_each_connection(page: Page) -> None:
    offered = await page.evaluate(
        """run(async ({ open, Socket }) => {
          let tokens = 0;
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (Socket.made.length > 1) return socket.store();
            socket.hear({ type: "error", code: "token_expired", detail: "", retry: true });
            socket.end(4003);
          };
          const dialog = await open({ token: async () => `t${++tokens}` });
          await dialog.say("one");
          await dialog.grant();
          return Socket.made.map(({ url, protocols }) => [url, ...protocols]);
        })"""
    )

    url = "ws://chat.test/v1/dialogs/live"
    assert offered == [[url, "consentful.v1.json", "bearer.t1"], [url, "consentful.v1.json", "bearer.t2"]]


@pytest.mark.parametrize("stop", ["the server", "the callback"])
async def test_a_token_that_ended_before_the_grant_is_told_as_not_stored(page: Page, stop: str) -> None:
    name, message, consents = await page.evaluate(
        """(stop) => run(async ({ sdk, open, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "open" && Socket.mute) socket.end(4501);
            if (frame.type !== "consent") return;
            if (Socket.made.length > 1) return socket.store();
            Socket.mute = true;
            socket.hear({ type: "error", code: "token_expired", detail: "", retry: true });
            socket.end(4003);
          };
          const token = () => { if (Socket.mute && stop === "the callback") throw new sdk.Unauthorised(); return "t"; };
          const dialog = await open({ token });
          await dialog.say("one");
          const error = await dialog.grant().catch((reason) => reason);
          Socket.mute = false;
          await dialog.grant();
          const consents = Socket.made.map(({ sent }) => sent.filter(({ type }) => type === "consent").length);
          return [error.name, error.message, consents];
        })""",
        stop,
    )

    assert name == "Unauthorised"
    assert message.startswith("nothing was stored: ")
    assert "call grant() again once" in message
    assert consents == ([1, 0, 1] if stop == "the server" else [1, 1]), "and the next grant stores it"


async def test_a_token_that_ended_leaves_the_doubt_of_an_earlier_connection(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "open" && Socket.mute) socket.end(4501);
            if (frame.type !== "consent") return;
            if (Socket.made.length === 1) return socket.end(1006);
            Socket.mute = true;
            socket.hear({ type: "error", code: "token_expired", detail: "", retry: true });
            socket.end(4003);
          };
          const dialog = await open({ token: "t" });
          await dialog.say("one");
          return failure(dialog.grant());
        })"""
    )

    assert outcome == "OutcomeUnknown unknown"


async def test_a_token_callback_tells_stop_from_try_again(page: Page) -> None:
    stopped, tried = await page.evaluate(
        """run(async ({ sdk, open, failure }) => {
          let tries = 0;
          const flaky = () => { if (++tries < 3) throw new Error("identity provider is down"); return "t"; };
          return [await failure(open({ token: () => { throw new sdk.Unauthorised("logged out"); } })),
            await failure(open({ token: flaky }))];
        })"""
    )

    assert (stopped, tried) == ("Unauthorised unauthenticated", "fulfilled")


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


async def test_consent_is_to_the_wording_that_was_shown(page: Page) -> None:
    agreed, refusal, then = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type !== "consent") return;
            if (Socket.made.length > 1) return socket.hear({ type: "error", code: "notice", detail: "no such notice" });
            Socket.notice = { ...Socket.notice, id: "n-2" };
            socket.end(4001);
          };
          const dialog = await open();
          await dialog.say("one");
          const refusal = await failure(dialog.grant());
          return [Socket.made[1].sent.at(-1).notice, refusal, dialog.notice.id];
        })"""
    )

    assert (agreed, refusal, then) == ("n-1", "Incomplete notice", "n-2")


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


async def test_a_storage_that_stays_broken_is_told(page: Page) -> None:
    outcome = await page.evaluate(
        """run(async ({ open, failure, Socket }) => {
          Socket.answer = (frame, socket) => {
            if (frame.type === "consent") socket.hear({ type: "error", code: "storage", detail: "", retry: true });
          };
          const dialog = await open();
          await dialog.say("one");
          return [await failure(dialog.grant()), await failure(dialog.say("two"))];
        })"""
    )

    assert outcome == ["Incomplete storage", "fulfilled"]


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
