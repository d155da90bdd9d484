"""How the JavaScript SDK proves who it is."""

import pytest
from playwright.async_api import Page


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
    assert consents == ([1, 0, 0, 1] if stop == "the server" else [1, 1]), "and the next grant stores it"


REFUSALS = {
    "4501": "Unauthorised unauthenticated",
    "4503": "Forbidden forbidden",
    "callback": "Unauthorised unauthenticated",
}
LOSE = """
const lose = async ({ sdk, open, Socket }, stop) => {
  let stopped = false, told;
  const paused = new Promise((resolve) => { told = resolve; });
  Socket.answer = (frame, socket) => {
    if (frame.type === "open" && Socket.mute) socket.end(Number(stop));
    if (frame.type !== "consent") return;
    frame.granted ? socket.store() : socket.hear({ type: "discarded", dialog_id: "d-1", messages: 1 });
  };
  const dialog = await open({
    token: () => { if (stopped && stop === "callback") throw new sdk.Unauthorised(); return "t"; },
    onState: (state, { error }) => state === "unavailable" && told(error),
  });
  const admit = (isAdmitted) => { stopped = Socket.mute = !isAdmitted; };
  await dialog.say("one");
  admit(false);
  Socket.made[0].end(1006);
  return { dialog, admit, error: await paused };
};
"""


@pytest.mark.parametrize("stop", REFUSALS)
async def test_a_dialog_that_is_lost_and_refused_for_its_token_keeps_its_messages(page: Page, stop: str) -> None:
    """As the Python SDK does: what the customer said is not lost because the chatbot's token has ended."""
    message, outcomes, texts = await page.evaluate(
        """(stop) => run(async (test) => {
          """
        + LOSE
        + """
          const { dialog, admit, error } = await lose(test, stop);
          const outcomes = [`${error.name} ${error.code}`, await test.failure(dialog.say("two")), dialog.progress.said];
          admit(true);
          outcomes.push(...await Promise.all(["two", "three"].map((text) => test.failure(dialog.say(text)))));
          outcomes.push(await test.failure(dialog.grant()));
          const texts = test.Socket.made.at(-1).sent.filter(({ seq }) => seq).map(({ text }) => text);
          return [error.message, outcomes, texts];
        })""",
        stop,
    )

    assert message.startswith("nothing was stored: ")
    assert "call say() or grant() again once the token callback" in message
    assert outcomes == [REFUSALS[stop], REFUSALS[stop], 1, "fulfilled", "fulfilled", "fulfilled"]
    assert texts == ["one", "two", "three"]


async def test_a_dialog_that_is_refused_for_its_token_can_be_declined_or_left(page: Page) -> None:
    outcomes = await page.evaluate(
        """() => run(async (test) => {
          """
        + LOSE
        + """
          const left = await lose(test, "4501");
          const waiting = test.failure(left.dialog.say("two"));
          left.dialog.close();
          const outcomes = [await waiting];
          test.Socket.made.length = 0;
          left.admit(true);
          const declined = await lose(test, "4501");
          declined.admit(true);
          return [...outcomes, await test.failure(declined.dialog.decline())];
        })"""
    )

    assert outcomes == ["Finished finished", "fulfilled"]


@pytest.mark.parametrize(("stale", "expected"), [(1, "fulfilled"), (2, "Unauthorised unauthenticated")])
async def test_a_token_callback_gets_one_more_chance_and_not_two(page: Page, stale: int, expected: str) -> None:
    """Its first token may be a cached one that has just ended."""
    outcome, asked = await page.evaluate(
        """(stale) => run(async ({ open, failure, Socket }) => {
          let tokens = 0;
          const token = () => { Socket.mute = ++tokens <= stale; return `t${tokens}`; };
          Socket.answer = (frame, socket) => Socket.mute && socket.end(4501);
          return [await failure(open({ token })), tokens];
        })""",
        stale,
    )

    assert (outcome, asked) == (expected, 2)


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
