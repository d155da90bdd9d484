"""The access log's entries, and the hash chain that makes changes to them visible. Pure.

    FIRST_LINK ◄── link 1 ◄── link 2 ◄── … ◄── link n ◄── head (number n, link n, seal)

    link i = HMAC(key, entry i, link i-1)        seal = HMAC(key, n, link n)        the key is not in the database

Whoever can write to the database, but has no key, can do the following, and `Verifier.check` finds it:

    change, remove, insert or move an entry    the next link does not follow
    remove the last entries                    the head names an entry that does not exist, or its seal is wrong
    alter or delete the head                   its seal is wrong; the next entry follows `_NOTHING` instead
    append with SQL                            there is an entry after the head, or the link is wrong

They can also put back an older copy of the whole log with its own head: that passes, unless the head was recorded
elsewhere. The server therefore writes the head into its own log every hour (`Housekeeping.anchor`), and `check` takes
such a head as its anchor.

What a filter looked for is not in the entry, only a commitment to it (`commitments`). The values stand beside the log
and are erased with the customer or with their epoch, which breaks no link.

A store computes `follow` inside the transaction that inserts the entry, so two writers cannot follow the same link.
"""

import hmac
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec
from pyroaring import BitMap

from ..mac import Mac

Kind: TypeAlias = Literal["credential", "customer", "operator", "service"]

Action: TypeAlias = Literal[
    "messages.read",
    "messages.streamed",
    "messages.sent",
    "dialogs.read",
    "dialogs.streamed",
    "dialogs.sent",
    "dialog.read",
    "annotations.read",
    "annotations.streamed",
    "annotations.sent",
    "annotation.written",
    "annotation.deleted",
    "dialog.withdrawn",
    "dialog.narrowed",
    "dialog.declined",
    "dialog.retracted",
    "dialog.requested",
    "dialog.expired",
    "request.access",
    "request.portability",
    "request.erasure",
    "request.read",
    "request.received",
    "request.decided",
    "key.created",
    "key.revoked",
    "notice.added",
    "notice.retired",
    "log.read",
    "log.verified",
    "customer.read",
]
"""`….streamed` is written before the first byte of a stream, `….sent` after the last, with its dialogs.

`dialog.…` is an erasure for that reason, except `dialog.read`, and `dialog.narrowed`: withdrawn for some purposes.
"""

BEGUN: Final[frozenset[Action]] = frozenset({"messages.streamed", "dialogs.streamed", "annotations.streamed"})
"""A stream has begun; its `SENT` entry has the same subject."""
SENT: Final[frozenset[Action]] = frozenset({"messages.sent", "dialogs.sent", "annotations.sent"})
DISCLOSED: Final[frozenset[Action]] = SENT.union(("messages.read", "dialogs.read", "dialog.read", "annotations.read"))
"""Entries whose dialogs were disclosed to a reader."""

FIRST_LINK: Final = bytes(32)
"""The link before the first entry."""

_NOTHING: Final = bytes([255]) * 32
"""The link before an entry whose predecessor cannot be trusted. No chain produces it, so `breaks` reports the entry."""


class Actor(msgspec.Struct, frozen=True):
    """Who acts: a credential, a customer with a withdrawal code, an operator at the command line, or the service
    itself.
    """

    name: str
    kind: Kind = "credential"
    request: str | None = None
    """The id of the HTTP request, as in the response's `Request-Id` header."""


CUSTOMER: Final = Actor("customer", "customer")
OPERATOR: Final = Actor("command line", "operator")
SERVICE: Final = Actor("service", "service")


class Entry(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One event. `at` is in microseconds since the epoch.

    `dialogs` are the internal numbers of the dialogs concerned, as `pack` encodes them. `subject` is the id of the
    stream, privacy request, key or notice. `filters` are the filters' names; `commitment` binds their values. `rows`
    counts messages or dialogs.
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
    """An entry with its link."""

    entry: Entry
    link: bytes


class Head(msgspec.Struct, frozen=True):
    """The end of the chain. Recorded elsewhere as `12:9f…`, it later proves that no entry up to there was altered."""

    number: int = 0
    link: bytes = FIRST_LINK
    seal: bytes = b""

    def __str__(self) -> str:
        return f"{self.number}:{self.link.hex()}"


def next_number(claimed: Head, last: int) -> int:
    """Return the number of the next entry, given the head's number and the number of the last entry.

    An altered head must not stop an erasure, so the entry gets the next free number, and `check` reports the head.
    """
    return max(claimed.number, last) + 1


def actual_head(claimed: Head, last: int) -> Head:
    """Return the head if it names the last entry; else an unsealed head at the last entry."""
    return claimed if claimed.number == last else Head(last)


class Chain:
    """Computes and verifies links with one key."""

    def __init__(self, key: bytes) -> None:
        self._keyed = Mac(key)

    def follow(self, head: Head, entry: Entry) -> tuple[Link, Head]:
        """Return the entry as the next link, and the new head.

        If the head's seal is wrong, the entry follows `_NOTHING`: it is written, and every check reports it.
        """
        # A wrong head stops nothing: refusing the entry would refuse the erasure that it records.
        link = self._mac(b"link", head.link if self.is_genuine(head) else _NOTHING, _encode(entry))
        return Link(entry, link), Head(entry.number, link, self._seal(entry.number, link))

    def breaks(self, head: Head, links: Iterable[Link]) -> tuple[Head, int | None]:
        """Return the head after the links, and the number of the first link that does not follow; None if all do."""
        for link in links:
            expected, after = self.follow(head, link.entry)
            if link.entry.number != head.number + 1 or not hmac.compare_digest(expected.link, link.link):
                return head, head.number + 1
            head = after
        return head, None

    def sealed(self, head: Head) -> Head:
        """Return the head with this chain's seal. Its link must have been verified."""
        return Head(head.number, head.link, self._seal_of(head))

    def is_genuine(self, head: Head) -> bool:
        """Return whether this chain sealed the head. The head of an empty log needs no seal."""
        return head.link == FIRST_LINK if not head.number else hmac.compare_digest(head.seal, self._seal_of(head))

    def _seal_of(self, head: Head) -> bytes:
        return self._seal(head.number, head.link)

    def _seal(self, number: int, link: bytes) -> bytes:
        # Signed, because a forged head may have a negative number.
        return self._mac(b"head", number.to_bytes(8, "big", signed=True), link)

    def _mac(self, use: bytes, *parts: bytes) -> bytes:
        # The use keeps the two kinds apart: no link can serve as the seal of a head.
        return self._keyed.of(b"consentful/1/chain/" + use + b"/" + b"".join(parts))


_encode: Final = msgspec.msgpack.Encoder().encode


def pack(numbers: Iterable[int]) -> bytes:
    """Return internal numbers of dialogs as a compressed bitmap (Roaring, portable format)."""
    return BitMap(numbers).serialize()


def unpack(packed: bytes) -> BitMap:
    """Return the bitmap that `pack` encoded."""
    return BitMap.deserialize(packed)
