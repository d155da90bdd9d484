"""What is compressed comes out as it was (RFC 7692)."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from consentful_server.edges.websocket.deflate import Deflate

TAIL = b"\x00\x00\xff\xff"


@given(some.lists(some.binary(max_size=300), max_size=5), some.integers(9, 15), some.booleans())
def test_messages_come_out_as_they_were(messages: list[bytes], bits: int, keeps_window: bool) -> None:
    deflate = Deflate(bits, keeps_window=keeps_window)
    inflater = zlib.decompressobj(-bits)

    for message in messages:
        if not keeps_window:
            inflater = zlib.decompressobj(-bits)  # a client without context takeover remembers nothing
        assert inflater.decompress(deflate(message) + TAIL) == message


@pytest.mark.parametrize(("keeps_window", "shorter"), [(True, True), (False, False)])
def test_only_a_window_that_is_kept_makes_a_repetition_shorter(keeps_window: bool, shorter: bool) -> None:
    deflate = Deflate(15, keeps_window=keeps_window)
    message = bytes(range(256))

    assert (len(deflate(message)) > 2 * len(deflate(message))) is shorter
