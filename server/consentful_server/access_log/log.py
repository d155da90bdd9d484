"""The access log: what is done with what is kept is written down, read back, and held against its chain."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Final

import msgspec
from pyroaring import BitMap

from ..clock import Clock, from_micros, to_micros
from ..errors import BadRequest
from .chain import BEGUN, FIRST_LINK, HANDED_OUT, SENT, Action, Actor, Chain, Entry, Head, Link, pack, unpack
from .commitments import Commitments
from .store import AccessLogStore, Logged, Note, Seen, Trace, Values
from .views import LogEntry, Recipient, SeenDialog

_BLOCK: Final = 2_000
_BEFORE_ALL: Final = -(2**63)
"""Before any number, also those that only a forger gives."""
_LOOKED_AT: Final = 20_000
"""How many entries one page of a search looks at before it answers with what it found so far."""


class _Draft(msgspec.Struct, frozen=True):
    """An entry without its number. Satisfies `store.Note`."""

    entry: Entry
    values: Values | None
    chain: Chain

    def about(self, dialog: int) -> "_Draft":
        return _Draft(msgspec.structs.replace(self.entry, dialogs=pack([dialog])), self.values, self.chain)

    def follow(self, head: Head, number: int) -> tuple[Link, Head]:
        return self.chain.follow(head, msgspec.structs.replace(self.entry, number=number))


class Found(msgspec.Struct, frozen=True):
    """Entries, newest first, and the number before which to go on; None at the end."""

    items: list[LogEntry]
    before: int | None


class Sighting(msgspec.Struct, frozen=True):
    """Dialogs that were seen, and the ids of streams that may have shown more: they run, or a crash cut them off.

    `after` is where the next page begins; None at the end.
    """

    dialogs: list[SeenDialog]
    after: int | None
    unfinished: list[str]


class Check(msgspec.Struct, frozen=True):
    """What holding the log against its chain showed: how many entries hold, their head, and what does not."""

    entries: int
    head: Head
    fault: str | None


class AccessLog:
    """One deployment's access log."""

    def __init__(self, store: AccessLogStore, chain: Chain, commitments: Commitments, clock: Clock) -> None:
        self._store = store
        self._chain = chain
        self._commitments = commitments
        self._clock = clock

    def note(
        self,
        by: Actor,
        action: Action,
        *,
        wanted: Mapping[str, Any] | None = None,
        rows: int = 0,
        dialogs: Iterable[int] | None = None,
        subject: str | None = None,
    ) -> Note:
        """Return an entry that is yet to be written. `wanted` are the filters and what they look for."""
        commitment, sealed = self._commitments.make(wanted) if wanted else (None, b"")
        entry = Entry(
            number=0,
            at=to_micros(self._clock.now()),
            kind=by.kind,
            who=by.name,
            action=action,
            request=by.request,
            subject=subject,
            filters=tuple(wanted or ()),
            commitment=commitment,
            rows=rows,
            dialogs=None if dialogs is None else pack(dialogs),
        )
        return _Draft(entry, Values(sealed, wanted.get("customer")) if wanted else None, self._chain)

    async def write(
        self,
        by: Actor,
        action: Action,
        *,
        wanted: Mapping[str, Any] | None = None,
        rows: int = 0,
        dialogs: Iterable[int] | None = None,
        subject: str | None = None,
    ) -> None:
        """Write an entry, durably: what it tells of is done only afterwards."""
        note = self.note(by, action, wanted=wanted, rows=rows, dialogs=dialogs, subject=subject)
        await self._store.add(note)

    async def forget(self, customer: str) -> None:
        """Erase what filters looked for, of every entry that named the customer (pseudonym)."""
        await self._store.forget(customer)

    async def head(self) -> Head:
        """Return the last link, which proves later that nothing up to here was altered."""
        return await self._store.head()

    async def search(
        self, trace: Trace, *, limit: int, before: int | None = None, about: BitMap | None = None
    ) -> Found:
        """Return entries that fit, newest first; `about` names dialogs of which an entry must have one.

        It may be fewer than the limit, even none, and still go on: a look at so many entries is enough for one page.
        """
        items: list[LogEntry] = []
        looked_at = 0
        while len(items) < limit and looked_at < _LOOKED_AT:
            length = _BLOCK if about is not None else limit
            block = await self._store.newest(trace, before, length)
            for logged in block:
                looked_at += 1
                before = logged.link.entry.number
                if about is None or _is_about(logged.link.entry, about):
                    items.append(self._shown(logged))
                if len(items) == limit:
                    return Found(items, before)
            if len(block) < length:
                return Found(items, None)
        return Found(items, before)

    async def dialogs_of(self, customer: str | None, dialog_id: str | None) -> BitMap:
        """Return the internal numbers of a customer's (pseudonym) dialogs, or of one dialog, stored or erased."""
        return BitMap(await self._store.numbers_of(customer, dialog_id))

    async def seen(self, trace: Trace, *, after: int, limit: int) -> Sighting:
        """Return the dialogs that entries which fit tell of, by internal number (GDPR art. 33)."""
        dialogs, unfinished = BitMap(), list[str]()
        sent: dict[str, BitMap] = {}
        until = None if trace.until is None else to_micros(trace.until)
        async for entry in self._newest(Trace(trace.who, trace.action, trace.since)):
            numbers = BitMap() if entry.dialogs is None else unpack(entry.dialogs)
            if entry.subject is not None and entry.action in SENT:
                sent[entry.subject] = numbers
            if until is not None and entry.at >= until:
                continue
            dialogs |= numbers
            if entry.subject is not None and entry.action in BEGUN:  # and perhaps sent after `until`
                dialogs |= sent.get(entry.subject, BitMap())
                if entry.subject not in sent:
                    unfinished.append(entry.subject)
        numbers = [number for number in dialogs if number > after][:limit]
        seen = await self._store.seen(numbers)
        following = seen[-1].number if len(seen) == limit else None
        return Sighting([_seen(it) for it in seen], following, unfinished)

    async def recipients(self, dialogs: BitMap) -> list[Recipient]:
        """Return which credentials saw something of these dialogs (GDPR art. 15(1)(c)), by name."""
        seen: dict[str, tuple[int, int, BitMap]] = {}
        async for entry in self._newest(Trace()):
            if entry.kind == "credential" and entry.action in HANDED_OUT and _is_about(entry, dialogs):
                first, last, which = seen.get(entry.who, (entry.at, entry.at, BitMap()))
                which |= unpack(entry.dialogs or b"") & dialogs
                seen[entry.who] = (min(first, entry.at), max(last, entry.at), which)
        return [
            Recipient(who=who, first_at=from_micros(first), last_at=from_micros(last), dialogs=len(which))
            for who, (first, last, which) in sorted(seen.items())
        ]

    async def check(self, anchor: Head | None = None) -> Check:
        """Hold every entry against the chain, the values against their commitments, and all against the anchor."""
        end = await self.head()
        at = Head()
        async for block in self._blocks(end.number):
            after, broken = self._chain.breaks(at, [logged.link for logged in block])
            at = after
            if broken is not None:
                return Check(at.number, at, f"entry {broken} is not the one that was written there")
            if altered := next((it.link.entry.number for it in block if not self._holds(it)), None):
                return Check(at.number, at, f"what entry {altered} looked for was altered")
            if fault := _misses(anchor, block):
                return Check(at.number, at, fault)
        if not self._chain.made(end) or (at.number, at.link) != (end.number, end.link):
            return Check(
                at.number, at, f"the log does not end with entry {at.number}: entries are gone, or are not ours"
            )
        if anchor is not None and anchor.number > at.number:
            return Check(at.number, at, f"the log ends before entry {anchor.number}")
        return Check(at.number, at, None)

    async def _newest(self, trace: Trace) -> AsyncGenerator[Entry]:
        before: int | None = None
        while block := await self._store.newest(trace, before, _BLOCK):
            for logged in block:
                yield logged.link.entry
            before = block[-1].link.entry.number

    async def _blocks(self, end: int) -> AsyncGenerator[list[Logged]]:
        after = _BEFORE_ALL
        while block := await self._store.links(after, _BLOCK):
            after = block[-1].link.entry.number
            yield [logged for logged in block if logged.link.entry.number <= end]  # what came since, others check
            if after >= end:
                return

    def _holds(self, logged: Logged) -> bool:
        """Whether the values are those that were committed to; values that were erased cannot be wrong."""
        commitment = logged.link.entry.commitment
        if logged.sealed is None:
            return True
        return commitment is not None and self._commitments.open(commitment, logged.sealed) is not None

    def values_of(self, logged: Logged) -> dict[str, Any] | None:
        """Return what an entry looked for, unless that was erased with the customer whom it named."""
        commitment = logged.link.entry.commitment
        if logged.sealed is None or commitment is None:
            return None
        return self._commitments.open(commitment, logged.sealed)

    def _shown(self, logged: Logged) -> LogEntry:
        entry = logged.link.entry
        return LogEntry(
            number=entry.number,
            at=from_micros(entry.at),
            who=entry.who,
            kind=entry.kind,
            action=entry.action,
            request=entry.request,
            subject=entry.subject,
            filters=entry.filters,
            values=self.values_of(logged),
            rows=entry.rows,
            dialogs=0 if entry.dialogs is None else len(unpack(entry.dialogs)),
            link=logged.link.link.hex(),
        )


def read_head(text: str) -> Head:
    """Return a head that was written down as `number:hash`.

    Raises:
        BadRequest: If it is not one.
    """
    number, separator, link = text.strip().partition(":")
    try:
        head = Head(int(number), bytes.fromhex(link))
    except ValueError:
        head = Head(-1)
    if not separator or head.number < 0 or len(head.link) != len(FIRST_LINK):
        raise BadRequest("head", "a head as `consentful verify --log` prints it, such as 12:9f86d0…")
    return head


def _is_about(entry: Entry, dialogs: BitMap) -> bool:
    return entry.dialogs is not None and not unpack(entry.dialogs).isdisjoint(dialogs)


def _misses(anchor: Head | None, block: list[Logged]) -> str | None:
    """Return what is wrong if the anchor is in this block and another entry stands there."""
    if anchor is None or not block or not block[0].link.entry.number <= anchor.number <= block[-1].link.entry.number:
        return None
    there = block[anchor.number - block[0].link.entry.number].link
    return None if there.link == anchor.link else f"entry {anchor.number} is another one than was anchored"


def _seen(dialog: Seen) -> SeenDialog:
    return SeenDialog(
        dialog_id=dialog.dialog_id,
        customer=dialog.customer,
        erased_at=None if dialog.erased_at is None else from_micros(dialog.erased_at),
    )
