"""The opening handshake, header by header (RFC 6455 §4.2, RFC 7692 §5)."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from consentful_server.edges.websocket.handshake import Handshake, accept
from consentful_server.errors import BadRequest
from raw import UPGRADE

MARKER = "contraband-4711"


def answered(subprotocol: str | None = None, *, compress: bool = False, **headers: str) -> Handshake:
    given = UPGRADE | {name.replace("_", "-"): value for name, value in headers.items()}
    return accept(CIMultiDictProxy(CIMultiDict(given)), subprotocol, compress=compress, request_id="r-1")


def test_the_answer_proves_that_the_key_was_read() -> None:
    """The example of RFC 6455 §1.3."""
    head = answered(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==").head.decode()

    first, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    assert first == "HTTP/1.1 101 Switching Protocols"
    assert {"Upgrade: websocket", "Connection: Upgrade"} <= set(fields)
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in fields


@pytest.mark.parametrize("subprotocol", [None, "consentful.v1.json"])
def test_it_names_the_subprotocol_that_was_chosen(subprotocol: str | None) -> None:
    head = answered(subprotocol).head.decode()

    assert ("Sec-WebSocket-Protocol: consentful.v1.json\r\n" in head) is (subprotocol is not None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", MARKER),
        ("Upgrade", "h2c"),
        ("Sec-WebSocket-Version", MARKER),
        ("Sec-WebSocket-Version", ""),
        ("Sec-WebSocket-Version", "0"),
        ("Sec-WebSocket-Version", "14"),
        ("Sec-WebSocket-Key", MARKER),
        ("Sec-WebSocket-Key", ""),
        ("Sec-WebSocket-Key", "AAAA"),
        ("Sec-WebSocket-Key", "A"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==\u00ff"),
        ("Sec-WebSocket-Extensions", "\u00ff"),
        ("Connection", "Upgrade\u00ff"),
    ],
)
def test_what_is_no_handshake_is_named_and_not_quoted(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        answered(compress=True, **{name.replace("-", "_"): value})

    assert refused.value.parameter == name
    assert MARKER not in str(refused.value)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=8", None),  # zlib has no such window
        ("x-webkit-deflate-frame", None),
        ("", None),
    ],
)
def test_compression_is_agreed_on_where_both_want_it(offered: str, agreed: str | None) -> None:
    head, deflate = answered(compress=True, Sec_WebSocket_Extensions=offered)

    fields = [line for line in head.decode().split("\r\n") if line.startswith("Sec-WebSocket-Extensions")]
    assert fields == ([] if agreed is None else [f"Sec-WebSocket-Extensions: {agreed}"])
    assert (deflate is not None) is (agreed is not None)


def test_without_the_setting_nothing_is_compressed() -> None:
    head, deflate = answered(Sec_WebSocket_Extensions="permessage-deflate")

    assert deflate is None
    assert b"Extensions" not in head
