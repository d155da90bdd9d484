"""A frame that says a thing twice says nothing: it is refused, in both encodings, and never read as its last word."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful import repeated_keys, wire
from consentful.wire import CODECS, JSON, MSGPACK, BadFrame

MARK = b"\xef\xbb\xbf"

REPEATED = [
    b'{"type":"consent","granted":true,"last_seq":1,"granted":false}',
    b'{"type":"consent","granted":false,"granted":true,"last_seq":1}',
    b'{"type":"consent","granted":true,"granted":true,"last_seq":1}',
    b'{"type":"consent","\\u0067ranted":true,"granted":false,"last_seq":1}',
    b'{"type":"consent","granted":true,"last_seq":1,"last_seq":2}',
    b'{"type":"consent","granted":true,"last_seq":1,"purposes":["a"],"purposes":["b"]}',
    b'{"type":"open","customer_id":"c-1","customer_id":"c-2"}',
    b'{"type":"open","customer_id":"c-1","dialog_id":"d-1","dialog_id":null}',
    b'{"type":"open","customer_id":"c-1","metadata":{"a":"1","a":"2"}}',
    b'{"type":"open","customer_id":"c-1","metadata":{"a":"1"},"metadata":{"a":"1"}}',
    b'{"type":"open","type":"message","seq":1,"text":"Hi"}',
    b'{"type":"message","seq":1,"text":"Hi","seq":2}',
    b'{"seq":1,"seq":1,"type":"message","text":"Hi"}',
    b'{"type":"message","seq":1,"text":"Hi","text":""}',
    b'{"type":"message","seq":1,"text":"a","text":"Hi"}',
    b'{"type":"message","seq":1,"text":"Hi","te\\u0078t":"Hi"}',
    b'{"type":"message","seq":1,"text":"' + b"\\n" * 500 + b'","text":"' + b"\\n" * 500 + b'"}',
    '{"type":"message","seq":1,"text":"äöü","text":"äöü"}'.encode(),
    b'{"type":"message","seq":1,"text":"Hi","role":"bot","role":"customer"}',
    b'{"type":"message","seq":1,"text":"Hi","role":"customer","role":"bot"}',
    b'{"type":"message","seq":1,"text":"role","role":"customer","seq":1}',
    b'{"type":"message","seq":1,"text":"Hi","language":"en","language":null}',
    b'{"type":"message","seq":1,"text":"Hi","sent_at":null,"sent_at":"2026-01-31T12:00:00.1234567890123Z"}',
    MARK + b'{"type":"message","seq":1,"seq":1,"text":"Hi"}',
]


@pytest.mark.parametrize("data", REPEATED)
def test_a_json_frame_that_repeats_a_field_is_refused(data: bytes) -> None:
    for sent in (data, data.decode()):
        with pytest.raises(BadFrame, match=r"repeated field|Expected|unknown frame type"):
            CODECS[JSON].decode_client(sent)


def packed(*pairs: tuple[str, Any], header: bytes | None = None) -> bytes:
    """Return a map with these keys and values in this order, as MessagePack."""
    encode = msgspec.msgpack.encode
    values = (value if isinstance(value, bytes) else encode(value) for _, value in pairs)
    entries = (encode(key) + value for (key, _), value in zip(pairs, values, strict=True))
    return (header or bytes([0x80 + len(pairs)])) + b"".join(entries)


HELLO = (("type", "message"), ("seq", 1), ("text", "Hi"))
AGREED = (("type", "consent"), ("granted", True), ("last_seq", 1))


@pytest.mark.parametrize(
    "data",
    [
        packed(*AGREED, ("granted", False)),
        packed(*AGREED, ("granted", True)),
        packed(*AGREED, ("granted", False), header=b"\xde\x00\x04"),
        packed(*AGREED, ("granted", False), header=b"\xdf\x00\x00\x00\x04"),
        packed(*HELLO, ("seq", 1)),
        packed(*HELLO, ("text", "Ho")),
        packed(*HELLO, ("role", "bot"), ("role", "customer")),
        packed(*HELLO, ("language", None), ("language", "en")),
        packed(("type", "open"), ("customer_id", "c-1"), ("customer_id", "c-2")),
        packed(("type", "open"), ("customer_id", "c-1"), ("metadata", packed(("a", "1"), ("a", "2")))),
    ],
)
def test_a_msgpack_frame_that_repeats_a_field_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame, match="repeated field"):
        CODECS[MSGPACK].decode_client(data)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (JSON, b'{ "type" : "message", "seq" : 1, "text" : "seq", "role" : "customer", "language" : null }'),
        (JSON, b'{"text":"{\\"seq\\":1,\\"seq\\":2}","seq":1,"type":"message"}'),
        (JSON, b'{"type":"message","seq":1,"text":"Hi","role":"customer","sent_at":"2026-01-31T12:00:00.000Z"}'),
        (JSON, b'{"type":"open","customer_id":"c-1","metadata":{"a":"1","b":"1","metadata":"x"}}'),
        (MSGPACK, packed(*HELLO, ("role", "customer"), ("language", None))),
        (MSGPACK, packed(*HELLO, header=b"\xde\x00\x03")),
        (MSGPACK, packed(*HELLO, header=b"\xdf\x00\x00\x00\x03")),
        (MSGPACK, packed(("type", "open"), ("customer_id", "c-1"), ("metadata", packed(("a", "1"), ("b", "1"))))),
    ],
)
def test_a_frame_that_says_everything_once_is_read_however_it_is_written(encoding: str, data: bytes) -> None:
    assert CODECS[encoding].decode_client(data)


def test_a_byte_order_mark_before_a_frame_is_ignored() -> None:
    data = b'{"type":"consent","granted":true,"last_seq":1}'

    assert CODECS[JSON].decode_client(MARK + data) == CODECS[JSON].decode_client("\ufeff" + data.decode())
    with pytest.raises(BadFrame):
        CODECS[JSON].decode_client(MARK * 1000 + data)


fields = st.fixed_dictionaries(
    {
        "type": st.just("message"),
        "seq": st.integers(1, 2**31 - 1),
        "text": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    },
    optional={
        "role": st.sampled_from(["customer", "bot", "agent"]),
        "language": st.sampled_from([None, "en", "zh-Hant-TW"]),
        "sent_at": st.sampled_from(
            [None, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.1Z", "2026-01-31T12:00:00.123456+01:00"]
        ),
    },
)


@given(fields, st.data())
def test_the_short_way_agrees_with_a_second_parse(message: dict[str, Any], data: st.DataObject) -> None:
    pairs = list(message.items())
    again = data.draw(st.lists(st.sampled_from(pairs), max_size=2))
    pairs = data.draw(st.permutations([*pairs, *again]))
    colon, comma = data.draw(st.sampled_from([(":", ","), (": ", ", ")]))
    is_ascii = data.draw(st.booleans())
    body = comma.join(f"{json.dumps(key)}{colon}{json.dumps(value, ensure_ascii=is_ascii)}" for key, value in pairs)
    document = ("{" + body + "}").encode()

    for encoding, sent in ((JSON, document), (MSGPACK, packed(*pairs))):
        try:
            CODECS[encoding].decode_client(sent)
        except BadFrame:
            assert again
        else:
            assert not again


@given(
    st.recursive(st.none() | st.text(max_size=3), lambda it: st.lists(it) | st.dictionaries(st.text(max_size=2), it))
)
def test_what_an_encoder_writes_repeats_nothing(value: Any) -> None:
    assert not repeated_keys.in_json(msgspec.json.encode(value))


@pytest.mark.parametrize(
    "data",
    [b'[{"a":1,"a":2}]', b'{"b":{"a":1,"a":1}}', b'{"":1,"":2}', b'{"a":1,"\\u0061":1}', b'[[[{"a":{"b":1,"b":2}}]]]'],
)
def test_a_repetition_is_seen_at_any_depth(data: bytes) -> None:
    assert repeated_keys.in_json(data)


def test_a_message_is_usually_read_without_a_second_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> bool:
        raise AssertionError

    monkeypatch.setattr(repeated_keys, "in_json", fail)
    monkeypatch.setattr(repeated_keys, "in_msgpack", fail)
    at = msgspec.json.decode(b'"2026-01-31T12:00:00.123456Z"', type=wire.Instant)
    for text in ("Hi", "Grüezi", 'first\nsecond "third"\n' * 50):
        for role in ("customer", "bot"):
            message = wire.Message(9_999, text, role=role, language="en", sent_at=at)
            for codec in CODECS.values():
                assert codec.decode_client(codec.encode(message)) == message
    by_browsers = b'{"type":"message","seq":1,"text":"Hi","role":"customer","sent_at":"2026-01-31T12:00:00.000Z"}'
    assert CODECS[JSON].decode_client(by_browsers)
