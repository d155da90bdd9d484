"""What one end takes, the other takes: the SDKs for Python and JavaScript, and the server."""

import random
from datetime import UTC, datetime
from typing import Final

import pytest

import consentful
from consentful import wire
from consentful.language import is_well_formed
from consentful.transcript import checked
from consentful_server import testing
from consentful_server.consent.language import canonical
from consentful_server.consent.notices import Catalogue, default_notice
from consentful_server.dialogs.dialog import Dialog
from consentful_server.errors import Refusal
from javascript import in_node
from vectors import LANGUAGES, NO_LANGUAGES

NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)
CATALOGUE: Final = Catalogue(default_notice())
CODEC: Final = wire.CODECS[wire.JSON]
SUBTAGS: Final = (
    *("en", "DE", "abc", "Latn", "root", "klingon", "abcdefgh", "419", "12", "1901", "1abc", "rozaj", "4abcd"),
    *("a", "u", "x", "X", "i", "1", "co", "GB", "oed", "sgn", "abcdefghi", "", "\u00e9n", "a\n"),
)

_FAKE: Final = """
class FakeSocket {
  constructor() { queueMicrotask(() => this.onopen({})); }
  send(data) {
    const frame = JSON.parse(data);
    const notice = { id: "n-1", language: "en", text: "May we?", sha256: "", purposes: ["a", "b"] };
    const limits = { max_text_bytes: 1e6, max_dialog_bytes: 1e9, max_messages: 1e6 };
    const answer = frame.type === "open" ? { type: "opened", notice, limits } : { type: "ack", seq: frame.seq };
    queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(answer) }));
  }
  close() {}
}
const open = (options) => sdk.openDialog("http://chat.test", { customerId: "c-1", WebSocket: FakeSocket, ...options });
const taken = (promise) => promise.then(() => true, ({ code }) => code !== "frame");
"""


def python_takes(frame: wire.FromClient) -> bool:
    try:
        checked(frame, CODEC)
    except wire.BadFrame:
        return False
    return True


def server_takes(frame: wire.FromClient) -> bool:
    """Return whether the server's decoder and its rules let a frame of these bytes in."""
    try:
        read = CODEC.decode_client(CODEC.encode(frame))
        if isinstance(read, wire.Open):
            Dialog.open(read, "d-1", CATALOGUE, wire.Limits(), NOW)
        elif isinstance(read, wire.Message):
            opening = wire.Open("c-1")
            Dialog.open(opening, "d-1", CATALOGUE, wire.Limits(), NOW).say(read, NOW)
    except (wire.BadFrame, Refusal):
        return False
    return True


async def javascript_takes(languages: list[str]) -> list[bool]:
    script = """
    const dialog = await open();
    const verdicts = [];
    for (const language of given) verdicts.push(await taken(dialog.say("x", { language })));
    console.log(JSON.stringify(verdicts));
    """
    return await in_node(_FAKE + script, languages)


async def test_a_language_that_one_end_takes_every_end_takes() -> None:
    expected = dict.fromkeys(LANGUAGES, True) | dict.fromkeys(NO_LANGUAGES, False)
    dice = random.Random(5646)
    for _ in range(2000):
        tag = dice.choice("-_").join(dice.choices(SUBTAGS, k=dice.randint(1, 5)))
        expected.setdefault(tag, is_well_formed(tag))
    tags = list(expected)
    assert sum(expected.values()) > 200

    assert {tag: python_takes(wire.Message(1, "x", language=tag)) for tag in tags} == expected
    assert {tag: python_takes(wire.Open("c-1", language=tag)) for tag in tags} == expected
    assert {tag: server_takes(wire.Message(1, "x", language=tag)) for tag in tags} == expected
    assert {tag: server_takes(wire.Open("c-1", language=tag)) for tag in tags} == expected
    assert dict(zip(tags, await javascript_takes(tags), strict=True)) == expected


async def test_what_only_a_server_of_another_release_refuses_does_not_poison_the_dialog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stricter(tag: str) -> str | None:
        return None if tag == "english" else canonical(tag)

    monkeypatch.setattr("consentful_server.dialogs.dialog.canonical", stricter)
    async with (
        testing.serve() as service,
        consentful.open_dialog(service.url, customer_id="c-1", random=lambda: 0.0) as dialog,
    ):
        await dialog.say("one")
        await dialog.say("two", language="english")
        with pytest.raises(consentful.MessageRefused) as caught:
            await dialog.grant()
        assert (caught.value.seq, caught.value.code) == (2, "frame")

        await dialog.say("three", language="en")
        assert (await dialog.grant()).messages == 2
