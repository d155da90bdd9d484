"""The JavaScript SDK when the customer decides."""

from playwright.async_api import Page


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
