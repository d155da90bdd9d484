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
