"""Bytes that are of interest to a decoder: where a search begins, and what every run of the tests looks at."""

from collections.abc import Mapping
from typing import Final

import msgspec

JSON: Final[Mapping[str, bytes]] = {
    "open": b'{"type":"open","customer_id":"c-42","language":"EN","metadata":{"a":"b"}}',
    "message": b'{"type":"message","seq":1,"text":"Hi","role":"bot","sent_at":"2026-01-01T00:00:00+02:00"}',
    "consent": b'{"type":"consent","granted":true,"last_seq":1,"purposes":["improve"],"given_by":"self"}',
    "opened": b'{"type":"opened","dialog_id":"d","notice":{"id":"n","language":"en","text":"?","sha256":"",'
    b'"purposes":[]},"limits":{}}',
    "closing": b'{"type":"closing","reason":"idle","in_s":1e308}',
    "of a newer server": b'{"type":"from-the-future","x":[{}]}',
    "nothing": b"",
    "no object": b'[1,2,{"type":"open"}]',
    "a type twice": b'{"type":"open","type":"message","customer_id":"c","seq":1,"text":"x"}',
    "no type": b'{"seq":1,"text":"x"}',
    "an unknown field like a path": b'{"type":"consent","granted":true,"last_seq":1,"x - at `$.y`":1}',
    "a lone surrogate": b'{"type":"message","seq":1,"text":"\\ud800"}',
    "a zero byte": b'{"type":"open","customer_id":"\\u0000"}',
    "no UTF-8": b'{"type":"message","seq":1,"text":"\xff\xfe"}',
    "overlong UTF-8": b'{"type":"message","seq":1,"text":"\xc0\xaf"}',
    "deep": b'{"type":"open","customer_id":"c","metadata":' + b"[" * 600 + b"]" * 600 + b"}",
    "deeper than the stack": b"[" * 4000,
    "a huge number": b'{"type":"message","seq":1' + b"0" * 400 + b',"text":"x"}',
    "a negative zero": b'{"type":"consent","granted":false,"last_seq":-0}',
    "a whole float": b'{"type":"consent","granted":false,"last_seq":1.0}',
    "not a number": b'{"type":"closing","reason":"idle","in_s":NaN}',
    "the first year": b'{"type":"message","seq":1,"text":"x","sent_at":"0001-01-01T00:00:00+14:00"}',
    "a leap second": b'{"type":"message","seq":1,"text":"x","sent_at":"2016-12-31T23:59:60Z"}',
    "more after the end": b'{"type":"message","seq":1,"text":"x"}}',
    "a byte order mark": b'\xef\xbb\xbf{"type":"message","seq":1,"text":"x"}',
}

_PACKED: Final = ("open", "message", "consent", "opened", "closing", "of a newer server", "no type")

MSGPACK: Final[Mapping[str, bytes]] = {
    name: msgspec.msgpack.encode(msgspec.json.decode(JSON[name])) for name in _PACKED
} | {
    "nothing": b"",
    "cut short": b"\x82\xa4type\xa7mess",
    "a map longer than its bytes": b"\xdf\xff\xff\xff\xff\xa4type",
    "a string longer than its bytes": b"\x81\xa4type\xdb\xff\xff\xff\xff",
    "deep": b"\x91" * 4000,
    "no UTF-8": b"\x83\xa4type\xa7message\xa3seq\x01\xa4text\xa2\xff\xfe",
    "bytes for a string": b"\x83\xa4type\xa7message\xa3seq\x01\xa4text\xc4\x01x",
    "bytes for a key": b"\x82\xc4\x04type\xa4open\xabcustomer_id\xa1c",
    "a number for a key": b"\x82\x01\x02\xa4type\xa4open",
    "an extension": b"\x83\xa4type\xa7message\xa3seq\x01\xa4text\xd4\x05x",
    "a timestamp": b"\x84\xa4type\xa7message\xa3seq\x01\xa4text\xa1x\xa7sent_at\xd6\xff\x00\x00\x00\x00",
    "a timestamp beyond years": b"\x84\xa4type\xa7message\xa3seq\x01\xa4text\xa1x\xa7sent_at\xc7\x0c\xff"
    + b"\x3b\x9a\xca\x00" + b"\x7f" * 8,
    "more after the end": b"\x82\xa4type\xa4open\xabcustomer_id\xa1c\xc0",
    "the byte that means nothing": b"\xc1",
    "not a number": b"\x83\xa4type\xa7closing\xa6reason\xa4idle\xa4in_s\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
}  # fmt: skip

CURSOR: Final[Mapping[str, bytes]] = {
    "a place": msgspec.msgpack.encode([1, "messages", "newest", 7, [1_700_000_000_000_000, 7, 2]]),
    "the beginning": msgspec.msgpack.encode([1, "messages", "newest", 7, None]),
    "another list": msgspec.msgpack.encode([1, "dialogs", "stored", 7, [0, 7, 2**31]]),
    "another version": msgspec.msgpack.encode([2, "messages", "newest", 7, None]),
    "a negative horizon": msgspec.msgpack.encode([1, "messages", "newest", -1, None]),
    "the end of the last read": msgspec.msgpack.encode([1, "messages", "stored", 9, None, 9]),
    "a place too short": msgspec.msgpack.encode([1, "messages", "newest", 7, [1]]),
    "a place whose text is no UTF-8": b"\x96\x01\xa8mes\xa6stored\x09\xc0red\x09\xc0\x09",
    "a map": msgspec.msgpack.encode({"version": 1}),
    "nothing": b"",
    "letters of another alphabet": "курсор".encode(),
    "no text": b"\xff\xfe",
    "padding": b"====",
    "a letter too many": b"AAAAA",
}

CORPUS: Final[Mapping[str, Mapping[str, bytes]]] = {"json": JSON, "msgpack": MSGPACK, "cursor": CURSOR}
