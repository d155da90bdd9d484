"""What must be true of each decoder of bytes from outside, whatever the bytes: it understands or refuses them."""

import base64
from collections.abc import Callable, Mapping
from typing import Final

from consentful import wire
from consentful_server.archive.query import Filter
from consentful_server.errors import BadRequest
from consentful_server.reading.cursors import Cursors

_MOST_SAID: Final = 200
_CURSORS: Final = Cursors(bytes(32))


def json(data: bytes) -> None:
    _frame(wire.CODECS[wire.JSON], data)


def msgpack(data: bytes) -> None:
    _frame(wire.CODECS[wire.MSGPACK], data)


def _frame(codec: wire.Codec, data: bytes) -> None:
    """A frame says the same when it is said again; a refusal is short, and in our own words."""
    for decode in (codec.decode_client, codec.decode_server):
        try:
            frame = decode(data)
        except wire.BadFrame as refused:
            said = str(refused)
            assert said.isascii(), "it quotes"
            assert said.isprintable(), "it quotes"
            assert len(said) <= _MOST_SAID, "it quotes"
        else:
            if frame is not None:
                said_again = codec.encode(decode(codec.encode(frame)))  # 900, told as a float, is 900.0 from now on
                assert codec.encode(decode(said_again)) == said_again


def cursor(data: bytes) -> None:
    """No bytes are a cursor; not even with our MAC, unless we could have written them."""
    wanted = Filter()
    mac = _CURSORS._mac([data, wanted, None])  # pyright: ignore[reportPrivateUsage]
    signed = base64.urlsafe_b64encode(data + mac).decode().rstrip("=")
    for text in (data.decode("utf-8", "surrogateescape"), signed):
        try:
            walk = _CURSORS.read(text, "messages", "newest", wanted, None)
        except BadRequest:
            continue
        assert text == signed
        again = _CURSORS.write("messages", "newest", wanted, None, walk)
        assert _CURSORS.read(again, "messages", "newest", wanted, None) == walk
    try:
        _CURSORS.marked(data.decode("utf-8", "surrogateescape"), "erasures", None)
    except BadRequest:
        return
    raise AssertionError("nobody knows the MAC")


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"json": json, "msgpack": msgpack, "cursor": cursor}
