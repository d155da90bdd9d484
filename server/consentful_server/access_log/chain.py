"""The access log's entries, and the chain that they are links of. Pure.

Each entry carries a MAC over itself and the link before it, under a key that is not in the database: none can be
changed, removed, inserted or moved without breaking every later one. The head, sealed apart, tells where the chain
ends. What a filter looked for is only committed to; the values lie in a table beside the log, and can be erased.
"""

import hmac
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec
from pyroaring import BitMap

Kind: TypeAlias = Literal["credential", "customer", "operator", "service"]

Action: TypeAlias = Literal[
    "messages.read",
    "messages.streamed",
    "messages.sent",
    "dialogs.read",
    "dialogs.streamed",
    "dialogs.sent",
    "dialog.read",
    "dialog.withdrawn",
    "dialog.declined",
    "dialog.retracted",
    "dialog.requested",
    "dialog.expired",
    "request.access",
    "request.portability",
    "request.erasure",
    "request.read",
    "key.created",
    "key.revoked",
    "notice.added",
    "notice.retired",
    "log.read",
]
"""`….streamed` is written before the first byte of a stream, `….sent` after the last, with its dialogs.

`dialog.…` but for `dialog.read` is an erasure, for that reason.
"""

BEGUN: Final[frozenset[Action]] = frozenset({"messages.streamed", "dialogs.streamed"})
SENT: Final[frozenset[Action]] = frozenset({"messages.sent", "dialogs.sent"})
HANDED_OUT: Final[frozenset[Action]] = SENT.union(("messages.read", "dialogs.read", "dialog.read"))
"""Entries whose dialogs somebody got to see."""

_MAC: Final = "sha256"
FIRST_LINK: Final = bytes(32)
"""What the first entry follows."""

_NOTHING: Final = bytes([255]) * 32


class Actor(msgspec.Struct, frozen=True):
    """Who does something: a credential, a customer with a code, an operator at the command line, the service itself."""

    name: str
    kind: Kind = "credential"
    request: str | None = None
    """The id of the HTTP request, which its answer carried as `Request-Id`."""


CUSTOMER: Final = Actor("customer", "customer")
OPERATOR: Final = Actor("command line", "operator")
SERVICE: Final = Actor("service", "service")


class Entry(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One thing that was done with what is kept. `at` is microseconds since the epoch.

    `dialogs` are the internal numbers of the dialogs that it was done with, as `pack` makes them; `subject` is the id
    of the stream, privacy request, key or notice that it is about. `filters` are names; `commitment` binds the values.
    """

    number: int
    at: int
    kind: Kind
    who: str
    action: Action
    request: str | None
    subject: str | None
    filters: tuple[str, ...]
    commitment: bytes | None
    rows: int
    dialogs: bytes | None


class Link(msgspec.Struct, frozen=True):
    """An entry in its place."""

    entry: Entry
    link: bytes


class Head(msgspec.Struct, frozen=True):
    """The last link. Written down elsewhere, `12:9f…` proves later that nothing up to there was altered since."""

    number: int = 0
    link: bytes = FIRST_LINK
    seal: bytes = b""

    def __str__(self) -> str:
        return f"{self.number}:{self.link.hex()}"


def next_number(claimed: Head, last: int) -> int:
    """Return the number of the next entry, where the head claims one and the last entry has this number.

    A head that somebody altered stops nobody, least of all an erasure: the entry gets the next free number.
    """
    return max(claimed.number, last) + 1


def actual_head(claimed: Head, last: int) -> Head:
    """Return the head, or one that nobody sealed, at the entry that is the last one instead."""
    return claimed if claimed.number == last else Head(last)


class Chain:
    """Makes and checks links."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def follow(self, head: Head, entry: Entry) -> tuple[Link, Head]:
        """Return the entry as the next link, and the head that it makes.

        After a head that is not ours there is no going on: the entry follows nothing, which every check finds.
        """
        link = self._mac(b"link", head.link if self.made(head) else _NOTHING, _encode(entry))
        return Link(entry, link), Head(entry.number, link, self._seal(entry.number, link))

    def breaks(self, head: Head, links: Iterable[Link]) -> tuple[Head, int | None]:
        """Return where the links lead from the head, and the number of the first that does not follow, if any."""
        for link in links:
            expected, after = self.follow(head, link.entry)
            if link.entry.number != head.number + 1 or not hmac.compare_digest(expected.link, link.link):
                return head, head.number + 1
            head = after
        return head, None

    def made(self, head: Head) -> bool:
        """Whether this chain made the head; the one of an empty log needs no making."""
        return head.link == FIRST_LINK if not head.number else hmac.compare_digest(head.seal, self._seal_of(head))

    def _seal_of(self, head: Head) -> bytes:
        return self._seal(head.number, head.link)

    def _seal(self, number: int, link: bytes) -> bytes:
        return self._mac(b"head", number.to_bytes(8, "big", signed=True), link)

    def _mac(self, use: bytes, *parts: bytes) -> bytes:
        return hmac.digest(self._key, b"consentful/1/chain/" + use + b"/" + b"".join(parts), _MAC)


_encode: Final = msgspec.msgpack.Encoder().encode


def pack(numbers: Iterable[int]) -> bytes:
    """Return internal numbers of dialogs as a compressed bitmap (Roaring, portable format)."""
    return BitMap(numbers).serialize()


def unpack(packed: bytes) -> BitMap:
    return BitMap.deserialize(packed)
