"""The frames: both encodings say the same, nothing undeclared gets in, and no complaint quotes what was sent."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful import wire
from consentful.wire import CODECS, JSON, MSGPACK, BadFrame, Codec

MARKER = "w0rds-that-nobody-may-see"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)
labels = st.from_regex(r"[A-Za-z0-9._:-]{1,20}", fullmatch=True)
languages = st.sampled_from(["en", "EN", "pt-BR", "zh-Hant-TW", "x-pirate"])
moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

opens = st.builds(
    wire.Open,
    customer_id=texts,
    dialog_id=st.none() | labels.filter(lambda label: label not in {".", "..", "live"}),
    language=st.none() | languages,
    bot=st.none() | st.just("shop"),
    metadata=st.none() | st.dictionaries(texts, texts, max_size=3),
)
messages = st.builds(
    wire.Message,
    seq=st.integers(1, 2**31 - 1),
    text=texts,
    role=st.sampled_from(["customer", "bot", "agent"]),
    language=st.none() | languages,
    sent_at=st.none() | moments,
)
consents = st.builds(
    wire.Consent,
    granted=st.booleans(),
    last_seq=st.integers(0, 2**31 - 1),
    notice=st.none() | labels,
    purposes=st.none() | st.lists(labels, max_size=4),
    given_by=st.sampled_from(["self", "representative"]),
    retract=st.booleans(),
)


@pytest.fixture(params=[JSON, MSGPACK])
def codec(request: pytest.FixtureRequest) -> Codec:
    return CODECS[request.param]


def encode(codec: Codec, value: Any) -> bytes:
    return (msgspec.msgpack if codec.binary else msgspec.json).encode(value)


@given(opens | messages | consents)
def test_what_a_client_encodes_the_server_decodes(frame: wire.FromClient) -> None:
    for codec in CODECS.values():
        assert codec.decode_client(codec.encode(frame)) == frame


def test_the_contracts_example_is_understood() -> None:
    codec = CODECS[JSON]

    said = [
        codec.decode_client('{"type":"open","customer_id":"c-42","language":"EN"}'),
        codec.decode_client('{"type":"message","seq":1,"text":"Hi"}'),
        codec.decode_client('{"type":"consent","granted":true,"last_seq":1}'),
    ]

    assert said == [wire.Open("c-42", language="EN"), wire.Message(1, "Hi"), wire.Consent(True, 1)]


BROKEN: dict[str, tuple[Any, str, str]] = {
    "unknown field": ({"type": "open", "customer_id": "c", MARKER: 1}, "$", "unknown field"),
    "unknown field that looks like a path": (
        {"type": "open", "customer_id": "c", f"x - at `$.{MARKER}`": 1},
        "$",
        "unknown field",
    ),
    "unknown type": ({"type": MARKER}, "$.type", "unknown frame type"),
    "no type": ({"seq": 1}, "$", "which is missing"),
    "a type that is no text": ({"type": 1}, "$.type", "Expected"),
    "empty customer": ({"type": "open", "customer_id": ""}, "$.customer_id", "at least 1 character"),
    "long customer": ({"type": "open", "customer_id": "c" * 201}, "$.customer_id", "at most 200 characters"),
    "id with a slash": ({"type": "open", "customer_id": "c", "dialog_id": "a/b"}, "$.dialog_id", "1 to 200 of"),
    "id that is a folder": ({"type": "open", "customer_id": "c", "dialog_id": ".."}, "$.dialog_id", "1 to 200 of"),
    "id that is a path of its own": ({"type": "open", "customer_id": "c", "dialog_id": "live"}, "$.dialog_id", "live"),
    "id with a line feed": ({"type": "open", "customer_id": "c", "dialog_id": "a\n"}, "$.dialog_id", "1 to 200 of"),
    "language": ({"type": "open", "customer_id": "c", "language": "no language"}, "$.language", "BCP 47"),
    "bot with a control character": ({"type": "open", "customer_id": "c", "bot": "a\0"}, "$.bot", "control character"),
    "nested metadata": ({"type": "open", "customer_id": "c", "metadata": {"a": {}}}, "$.metadata[...]", "Expected"),
    "seq zero": ({"type": "message", "seq": 0, "text": MARKER}, "$.seq", "at least 1"),
    "seq too large": ({"type": "message", "seq": 2**31, "text": MARKER}, "$.seq", "at most"),
    "empty text": ({"type": "message", "seq": 1, "text": ""}, "$.text", "at least 1 character"),
    "text that is no text": ({"type": "message", "seq": 1, "text": [MARKER]}, "$.text", "Expected"),
    "role": (
        {"type": "message", "seq": 1, "text": "x", "role": MARKER},
        "$.role",
        "customer, bot, agent (an assistant is a bot",
    ),
    "time without an offset": (
        {"type": "message", "seq": 1, "text": "x", "sent_at": "2026-01-01T00:00:00"},
        "$.sent_at",
        "with an offset",
    ),
    "granted that is no bool": ({"type": "consent", "granted": "true", "last_seq": 1}, "$.granted", "Expected"),
    "consent without last_seq": ({"type": "consent", "granted": True}, "$", "which is missing"),
    "a list": ([MARKER], "$", "Expected"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_is_refused_by_path_without_its_value(name: str, codec: Codec) -> None:
    value, path, reason = BROKEN[name]

    with pytest.raises(BadFrame) as caught:
        codec.decode_client(encode(codec, value))

    assert caught.value.path == path
    assert reason in caught.value.reason
    assert MARKER not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b'{"type":"message","seq":1,"text":"\\ud800"}', b"[" * 100_000]
)
def test_bytes_that_are_no_document_are_refused(data: bytes, codec: Codec) -> None:
    with pytest.raises(BadFrame):
        codec.decode_client(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(MARKER) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just(MARKER) | st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(["open", "message", "consent", MARKER]),
    st.dictionaries(
        st.sampled_from(["customer_id", "text", "seq", "metadata", "role", "sent_at", "granted", "purposes", MARKER]),
        json_values,
    ),
)
def test_no_complaint_ever_quotes_what_was_sent(kind: str, fields: dict[str, Any]) -> None:
    for codec in CODECS.values():
        try:
            codec.decode_client(encode_or_skip(codec, {"type": kind, **fields}))
        except BadFrame as bad:
            assert MARKER not in f"{bad} {bad!r} {bad.args}"


def encode_or_skip(codec: Codec, value: Any) -> bytes:
    try:
        return encode(codec, value)
    except OverflowError:  # MessagePack has no integers beyond 64 bits
        return b""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_bad_frame(data: bytes) -> None:
    for codec in CODECS.values():
        for decode in (codec.decode_client, codec.decode_server):
            try:
                decode(data)
            except BadFrame:
                pass


def test_a_client_ignores_fields_of_a_newer_server(codec: Codec) -> None:
    frame = codec.decode_server(encode(codec, {"type": "ack", "seq": 3, "since": "next version"}))

    assert frame == wire.Ack(3)


def test_a_client_ignores_frames_of_a_newer_server(codec: Codec) -> None:
    assert codec.decode_server(encode(codec, {"type": "weather", "sunny": True})) is None


def test_a_client_refuses_a_broken_frame_of_a_known_kind(codec: Codec) -> None:
    with pytest.raises(BadFrame):
        codec.decode_server(encode(codec, {"type": "ack", "seq": "three"}))


@pytest.mark.parametrize(
    "frame",
    [
        wire.Open(MARKER, metadata={MARKER: MARKER}),
        wire.Message(1, MARKER),
        wire.Stored("d", 1, datetime(2026, 1, 1, tzinfo=UTC), MARKER, MARKER),
    ],
)
def test_no_repr_shows_words_customers_or_proofs(frame: Any) -> None:
    assert MARKER not in repr(frame)
    assert MARKER not in str(frame)


def test_the_client_knows_every_kind_of_server_frame() -> None:
    kinds = {kind.__struct_config__.tag for kind in wire.FromServer.__args__}

    assert kinds == wire._SERVER_TAGS  # pyright: ignore[reportPrivateUsage]


def test_unset_fields_are_not_sent() -> None:
    assert json.loads(CODECS[JSON].encode(wire.Message(1, "Hi"))) == {"type": "message", "seq": 1, "text": "Hi"}


PATTERNED: list[dict[str, Any]] = [
    {"type": "open", "customer_id": "c", "dialog_id": "a b"},
    {"type": "open", "customer_id": "c", "language": "a b"},
    {"type": "open", "customer_id": "c", "bot": "\n"},
    {"type": "message", "seq": 1, "text": "x", "language": "a b"},
    {"type": "consent", "granted": True, "last_seq": 1, "notice": "a b"},
    {"type": "consent", "granted": True, "last_seq": 1, "purposes": ["a", "a b"]},
]


@pytest.mark.parametrize("value", PATTERNED, ids=str)
def test_a_pattern_is_told_in_words(value: dict[str, Any], codec: Codec) -> None:
    with pytest.raises(BadFrame) as caught:
        codec.decode_client(encode(codec, value))

    assert "regex" not in caught.value.reason
