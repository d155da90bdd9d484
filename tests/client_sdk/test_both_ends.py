"""What one end takes, the other takes: the SDKs for Python and JavaScript, and the server."""

import json
import random
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

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
from vectors import GRANTS, LANGUAGES, NO_LANGUAGES, OPENINGS, SAYINGS

from .conftest import Opened

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
    const answer = { type: "ack", seq: frame.seq };
    if (frame.type === "open") Object.assign(answer, { type: "opened", notice, limits });
    if (frame.type === "consent") Object.assign(answer, { type: "error", code: "purposes", detail: "" });
    queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(answer) }));
  }
  close() {}
}
const open = (options) => sdk.openDialog("http://chat.test", { customerId: "c-1", WebSocket: FakeSocket, ...options });
const NAMES = { customer_id: "customerId", dialog_id: "dialogId", sent_at: "sentAt", given_by: "givenBy" };
const named = (fields) =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [NAMES[name] ?? name, value]));
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


def decoded(kind: str, fields: Mapping[str, Any]) -> bool:
    """Return whether the server takes a frame with these fields, as any client may send it."""
    try:
        frame = CODEC.decode_client(json.dumps({"type": kind, **fields}))
    except wire.BadFrame:
        return False
    return server_takes(frame)


async def takes(work: Awaitable[object]) -> bool:
    """Return whether an SDK's call passes its checks, whatever the server decides then."""
    try:
        await work
    except (TypeError, ValueError):
        return False
    except consentful.Incomplete:
        return True
    return True


def dated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as Python passes them."""
    return {"text": "x"} | {
        name: datetime.fromisoformat(value) if name == "sent_at" else value for name, value in fields.items()
    }


async def test_an_opening_that_one_end_takes_every_end_takes() -> None:
    def python(fields: Mapping[str, Any]) -> bool:
        try:
            given: dict[str, Any] = {"customer_id": "c-1", **fields}
            consentful.open_dialog("http://chat.test", **given)
        except (TypeError, ValueError):
            return False
        return True

    script = """
    const verdicts = [];
    for (const fields of given) verdicts.push(await taken(open(named(fields)).then((dialog) => dialog.close())));
    console.log(JSON.stringify(verdicts));
    """
    fields, expected = map(list, zip(*OPENINGS, strict=True))

    assert told(fields, [python(each) for each in fields]) == told(fields, expected)
    assert told(fields, [decoded("open", {"customer_id": "c-1", **each}) for each in fields]) == told(fields, expected)
    assert told(fields, await in_node(_FAKE + script, fields)) == told(fields, expected)


async def test_a_message_that_one_end_takes_every_end_takes(opened: Opened) -> None:
    script = """
    const dialog = await open();
    const verdicts = [];
    for (const { text = "x", ...about } of given) verdicts.push(await taken(dialog.say(text, named(about))));
    console.log(JSON.stringify(verdicts));
    """
    dialog, _ = await opened()
    fields, expected = map(list, zip(*SAYINGS, strict=True))

    said = [await takes(dialog.say(**dated(each))) for each in fields]
    assert told(fields, said) == told(fields, expected)
    server = [decoded("message", {"seq": 1, "text": "x", **each}) for each in fields]
    assert told(fields, server) == told(fields, expected)
    assert told(fields, await in_node(_FAKE + script, fields)) == told(fields, expected)


async def test_a_grant_that_one_end_takes_every_end_takes() -> None:
    script = """
    const dialog = await open();
    await dialog.say("x");
    const verdicts = [];
    for (const fields of given) verdicts.push(await taken(dialog.grant(named(fields))));
    console.log(JSON.stringify(verdicts));
    """
    fields, expected = map(list, zip(*GRANTS, strict=True))

    async with testing.serve() as service, consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        asked = [await takes(dialog.grant(**each)) for each in fields]  # without messages nothing is decided
    assert told(fields, asked) == told(fields, expected)
    server = [decoded("consent", {"granted": True, "last_seq": 1, **each}) for each in fields]
    assert told(fields, server) == told(fields, expected)
    assert told(fields, await in_node(_FAKE + script, fields)) == told(fields, expected)


async def test_a_lone_surrogate_is_refused_by_python_and_replaced_by_javascript() -> None:
    """In JavaScript a text cut between the halves of an emoji is usual; in Python it is a mistake of decoding."""
    script = """
    const sent = [];
    const send = FakeSocket.prototype.send;
    FakeSocket.prototype.send = function (data) { sent.push(JSON.parse(data).text); send.call(this, data); };
    const dialog = await open();
    await dialog.say("Hi \\ud83d");
    console.log(JSON.stringify([sent.at(-1), await taken(open({ customerId: "\\udc00" }))]));
    """

    assert await in_node(_FAKE + script, before="delete String.prototype.toWellFormed;") == ["Hi \ufffd", False]
    assert not python_takes(wire.Message(1, "Hi \ud83d"))
    assert not python_takes(wire.Open("\udc00"))


async def test_javascript_tells_what_is_taken_and_the_type_of_what_was_not() -> None:
    script = """
    const dialog = await open();
    const say = (...parameters) => dialog.say(...parameters).catch(({ message }) => message);
    const texts = [say(), say({ secret: 1 }), say(""), say(["secret"])];
    const roles = [say("x", { role: "assistant" }), say("x", { role: "secret" })];
    const opening = sdk.openDialog("http://chat.test", { WebSocket: FakeSocket }).catch(({ message }) => message);
    console.log(JSON.stringify(await Promise.all([...texts, ...roles, opening])));
    """

    assert await in_node(_FAKE + script) == [
        "text: must be a non-empty string, not undefined",
        "text: must be a non-empty string, not Object",
        "text: must be a non-empty string, not an empty string",
        "text: must be a non-empty string, not Array",
        'role: must be customer, bot or agent, not such a string; use "bot"',
        "role: must be customer, bot or agent, not such a string",
        "customerId: must be a string of 1 to 200 characters, not undefined",
    ]


def told(fields: list[Any], verdicts: list[bool]) -> list[tuple[Any, bool]]:
    return list(zip(fields, verdicts, strict=True))


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
