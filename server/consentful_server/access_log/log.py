"""The access log: events are recorded and searched; `verification` verifies it.

An event takes one of two ways into the log:

    write    disclosures: the entry is durable before the reader gets the data
    note     changes: the store inserts the entry in the transaction that makes the change (GDPR art. 5(2))

So nothing is disclosed or changed without an entry. An entry without a disclosure is possible: the reader's connection
was lost, or the server died between the two.

All methods run on the event loop; the store's transactions order the entries, also those of other processes.

What a filter looked for is forgotten earlier than the entry:

    names a customer           with the customer; never written if nothing is stored of that customer (`store`)
    words of a text search     with the first erased dialog that they found; never written if they found none
    both, and other values     with the epoch, at the latest (`commitments`)

Races, and the line that closes each:

(R1) Entries are appended while a search walks from newest to oldest: each block continues before the last number seen,
     so new entries change neither the page nor its cursor.
(R2) A stream ends after `seen` has walked: its `….sent` entry is missed, its `….streamed` entry is not. The stream is
     then reported as unfinished, so the answer errs towards more (GDPR art. 33).
(R3) A dialog is erased after a text search found it and before the search is logged: `forget_words` knows every erased
     dialog, not only those since its last run.
(R4) A dialog is erased while `forget_words` judges: the next run finds that more was erased than this one knew when it
     began, and judges every search again.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec
from pyroaring import BitMap

from ..clock import Clock, from_micros, to_micros
from .chain import BEGUN, SENT, Action, Actor, Chain, Entry, Head, Link, pack, unpack
from .commitments import Commitments
from .store import AccessLogStore, Logged, Note, Seen, ShortEntry, Trace, Values
from .verification import Check, Verifier
from .views import LogEntry, SeenDialog

_BLOCK: Final = 2_000
_WORDS: Final = frozenset({"q", "metadata"})
"""The filters whose values are words, which can tell of a customer."""
_LOWEST_NUMBER: Final = -(2**63)
"""Lower than every number, also than those that only a forger would use."""
_MOST_EXAMINED: Final = 20_000
"""Entries that one page of a search examines before it returns what it has found."""


Covers: TypeAlias = Callable[[Iterable[str]], bool]
"""Returns whether the reader may see a dialog that was granted for these purposes."""


def _covers_all(purposes: Iterable[str]) -> bool:
    return True


class _Draft(msgspec.Struct, frozen=True):
    """An entry that has no number yet. Satisfies `store.Note`."""

    entry: Entry
    values: Values | None
    chain: Chain

    def about(self, dialog: int) -> "_Draft":
        return _Draft(msgspec.structs.replace(self.entry, dialogs=pack([dialog])), self.values, self.chain)

    def follow(self, head: Head, number: int) -> tuple[Link, Head]:
        return self.chain.follow(head, msgspec.structs.replace(self.entry, number=number))


class Found(msgspec.Struct, frozen=True):
    """Entries, newest first, and the number before which the next page begins; None at the end."""

    items: list[LogEntry]
    before: int | None


class Sighting(msgspec.Struct, frozen=True):
    """Disclosed dialogs, and the ids of unfinished streams, which may have disclosed more: they run, or a crash ended
    them.

    `after` is where the next page begins; None at the end.
    """

    dialogs: list[SeenDialog]
    after: int | None
    unfinished: list[str]


class AccessLog:
    """The access log of one deployment."""

    def __init__(self, store: AccessLogStore, chain: Chain, commitments: Commitments, clock: Clock) -> None:
        self._store = store
        self._chain = chain
        self._commitments = commitments
        self._clock = clock
        self._erased = BitMap()
        self._place = 0
        self._judged = (0, _LOWEST_NUMBER)
        """Up to which place in the feed of erasures, and which entry, `forget_words` has judged every search."""

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
        """Return an entry that a store inserts with the change it records. `wanted` maps filters to their values."""
        committed = self._commitments.make(wanted) if wanted else None
        shown = None if dialogs is None else BitMap(dialogs)
        entry = Entry(
            number=0,
            at=to_micros(self._clock.now()),
            kind=by.kind,
            who=by.name,
            action=action,
            request=by.request,
            subject=subject,
            filters=tuple(wanted or ()),
            commitment=None if committed is None else committed.commitment,
            rows=rows,
            dialogs=None if shown is None else pack(shown),
        )
        values: Values | None = None
        if wanted and committed and not (_WORDS & wanted.keys() and shown is not None and not shown):
            values = Values(committed.sealed, wanted.get("customer"), committed.epoch)
        return _Draft(entry, values, self._chain)

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
        """Record an event durably. Call this before the event takes effect."""
        note = self.note(by, action, wanted=wanted, rows=rows, dialogs=dialogs, subject=subject)
        await self._store.add(note)

    async def erase_values(self, customer: str) -> None:
        """Erase the filter values of every entry that names the customer (pseudonym)."""
        await self._store.erase_values(customer)

    async def forget_words(self) -> None:
        """Erase the words of every search (by text or metadata) that found a dialog erased since, or that found none.

        What a stream found is in its last entry; while it runs, its words stay. Searches that were judged before are
        judged again only if a dialog was erased since.
        """
        await self._learn_erased()
        place, (judged_at, judged) = self._place, self._judged
        after = judged if place == judged_at else _LOWEST_NUMBER  # (R4)
        last = (await self._store.head()).number  # of an entry: most are no searches, and are not looked at again
        runs: list[int] = []
        while block := await self._store.searches(_WORDS, after, _BLOCK):
            after = block[-1].link.entry.number
            found = [(logged.link.entry.number, await self._found(logged.link.entry)) for logged in block]
            runs += [number for number, dialogs in found if dialogs is None]
            if forgotten := [number for number, dialogs in found if self._is_over(dialogs)]:
                await self._store.erase_values_of(forgotten)
        self._judged = (place, min(runs) - 1 if runs else max(after, last))

    async def head(self) -> Head:
        """Return the head of the chain, which later proves that no entry up to here was altered."""
        return await self._store.head()

    async def check(self, anchor: Head | None = None) -> Check:
        """Verify the whole log, and that the anchor, a head that was saved earlier, is a part of it."""
        return await Verifier(self._store, self._chain, self._commitments).check(anchor)

    async def search(
        self, trace: Trace, *, limit: int, before: int | None = None, about: BitMap | None = None
    ) -> Found:
        """Return matching entries, newest first; with `about`, only entries that concern one of these dialogs.

        A page may hold fewer entries than `limit`, even none, and still have a next one: each page examines a bounded
        number.
        """
        items: list[LogEntry] = []
        examined = 0
        while len(items) < limit and examined < _MOST_EXAMINED:
            # Without `about` every entry matches, so a block is a page.
            length = _BLOCK if about is not None else limit
            block = await self._store.newest(trace, before, length)
            for logged in block:
                examined += 1
                before = logged.link.entry.number  # (R1)
                if about is None or _is_about(logged.link.entry, about):
                    items.append(self._shown(logged))
                if len(items) == limit:
                    return Found(items, before)
            if len(block) < length:
                return Found(items, None)
        return Found(items, before)

    async def dialogs_of(self, customer: str | None, dialog_id: str | None, covers: Covers = _covers_all) -> BitMap:
        """Return the internal numbers of a customer's (pseudonym) dialogs, or of one dialog, stored or erased.

        Only of those that the reader may see.
        """
        numbers = await self._store.numbers_of(customer, dialog_id)
        return BitMap([it.number for it in await self._store.seen(numbers) if covers(it.purposes)])

    async def seen(self, trace: Trace, *, after: int, limit: int, covers: Covers = _covers_all) -> Sighting:
        """Return the dialogs that matching entries disclosed, by internal number (GDPR art. 33).

        Only those that the reader may see. A stream counts if it began before `until`, even if it was sent later.
        """
        dialogs = BitMap()
        running: dict[str, None] = {}  # in the order of their beginnings, as a set has none
        until = None if trace.until is None else to_micros(trace.until)
        # Without `until`, because a stream that began before may have ended after it.
        async for entry in self._short(Trace(trace.who, trace.action, trace.since)):
            is_within = until is None or entry.at < until
            if entry.dialogs is not None and (is_within or entry.subject in running):
                dialogs |= unpack(entry.dialogs)
            if entry.subject is None:
                continue
            if entry.action in SENT:
                running.pop(entry.subject, None)
            elif is_within and entry.action in BEGUN:
                running[entry.subject] = None  # (R2)
        seen: list[Seen] = []
        numbers = (number for number in dialogs if number > after)
        while len(seen) < limit and (some := list(islice(numbers, _BLOCK))):
            seen += [it for it in await self._store.seen(some) if covers(it.purposes)]
        following = seen[limit - 1].number if len(seen) >= limit else None
        return Sighting([_seen(it) for it in seen[:limit]], following, list(running))

    async def _learn_erased(self) -> None:
        """Learn which dialogs were erased, from the feed of erasures; a million take about a hundred kilobytes."""
        while block := await self._store.erased_after(self._place, _BLOCK):
            self._erased.update(erased.number for erased in block)  # (R3)
            self._place = block[-1].place

    async def _found(self, search: Entry) -> BitMap | None:
        """Return the dialogs that a search found; None if that is not known: its stream runs, or a crash ended it."""
        if search.action not in BEGUN or search.subject is None:
            return None if search.dialogs is None else unpack(search.dialogs)
        entries = [logged.link.entry for logged in await self._store.of_subject(search.subject)]
        sent = [entry.dialogs for entry in entries if entry.action in SENT and entry.dialogs is not None]
        return unpack(sent[0]) if sent else None

    def _is_over(self, found: BitMap | None) -> bool:
        return found is not None and (not found or not found.isdisjoint(self._erased))

    async def _short(self, trace: Trace) -> AsyncGenerator[ShortEntry]:
        after = _LOWEST_NUMBER
        while block := await self._store.short(trace, after, _BLOCK):
            for entry in block:
                yield entry
            after = block[-1].number

    def values_of(self, logged: Logged) -> dict[str, Any] | None:
        """Return an entry's filter values; None if they were erased, or have ended with their epoch."""
        entry = logged.link.entry
        if logged.sealed is None or entry.commitment is None:
            return None
        return self._commitments.open(entry.filters, entry.commitment, logged.sealed)

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


def _is_about(entry: Entry, dialogs: BitMap) -> bool:
    return entry.dialogs is not None and not unpack(entry.dialogs).isdisjoint(dialogs)


def _seen(dialog: Seen) -> SeenDialog:
    return SeenDialog(
        dialog_id=dialog.dialog_id,
        customer=dialog.customer,
        erased_at=None if dialog.erased_at is None else from_micros(dialog.erased_at),
    )
