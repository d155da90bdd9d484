"""Statistics over stored dialogs, within a reader's scope, and over how dialogs ended.

How a dialog ended is counted in memory, because most dialogs leave nothing in the store, and written by `flush` every
30 s. Everything runs on the event loop.

(R1) A dialog ends while `flush` writes: the counter is replaced before the write, so the dialog counts in the next one.
(R2) The write fails: its counts are added back. A crash loses what was not written.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, TypeAlias

import msgspec

from ..auth.read_scope import ReadScope
from ..clock import Clock
from .store import OUTCOMES, CounterStore, Dimension, NoticeOutcomes, Outcomes, Which

By: TypeAlias = Literal["day", "language", "bot", "role", "purpose", "length"]
Value: TypeAlias = str | int | None
Shown: TypeAlias = tuple[str, str]
"""A notice in one language: its id and the language."""

_OUTCOMES: Final = ("granted", "declined", "dropped")


class Numbers(msgspec.Struct, frozen=True):
    """A count; `dialogs` is None if the query can only count messages."""

    dialogs: int | None
    messages: int


class Statistics:
    """Answers statistical queries, and counts how dialogs of this process ended."""

    def __init__(self, store: CounterStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ended: Counter[tuple[date, str | None, Shown, str]] = Counter()

    async def count(
        self, which: Which, by: Sequence[By], purpose: str | None, scope: ReadScope
    ) -> list[tuple[tuple[Value, ...], Numbers]]:
        """Return numbers for each combination of values, sorted.

        A dialog counts once for each of its purposes. By language, a dialog counts for its own, a message for the
        message's.
        """
        columns: list[Dimension] = [name for name in by if name != "purpose"]
        dialogs: defaultdict[tuple[Value, ...], int] = defaultdict(int)
        messages: defaultdict[tuple[Value, ...], int] = defaultdict(int)
        counts_dialogs = "role" not in by
        # By role only messages can be counted: a dialog has several roles.
        for it in await self._store.dialogs(which, columns) if counts_dialogs else ():
            for key in _keys(by, it.values, _seen(it.purposes, purpose, scope)):
                dialogs[key] += it.dialogs
        for it in await self._store.messages(which, columns):
            for key in _keys(by, it.values, _seen(it.purposes, purpose, scope)):
                messages[key] += it.messages
        keys = sorted(dialogs.keys() | messages.keys(), key=_in_order)
        return [(key, Numbers(dialogs.get(key, 0) if counts_dialogs else None, messages.get(key, 0))) for key in keys]

    async def outcomes(self, which: Which) -> list[Outcomes]:
        """Return how dialogs ended, for each day and chatbot."""
        await self.flush()
        return await self._store.outcomes(which)

    async def of_notices(self) -> dict[Shown, NoticeOutcomes]:
        """Return how the dialogs ended that were shown each notice, by its id and language."""
        await self.flush()
        return {(it.notice, it.language): it for it in await self._store.of_notices()}

    def ended(self, bot: str | None, notice: Shown, outcome: str) -> None:
        """Count a dialog that ended now, and was shown this notice (id, language); the next `flush` writes it."""
        self._ended[self._clock.now().date(), bot, notice, OUTCOMES.get(outcome, "dropped")] += 1

    async def flush(self) -> None:
        """Write the counts since the last call."""
        ended, self._ended = self._ended, Counter()  # (R1)
        if not ended:
            return
        by_bot, by_notice = Counter[tuple[str, str | None, str]](), Counter[tuple[Shown, str]]()
        for (day, bot, notice, outcome), times in ended.items():
            by_bot[day.isoformat(), bot, outcome] += times
            by_notice[notice, outcome] += times
        rows = [
            Outcomes(day, bot, *(by_bot[day, bot, outcome] for outcome in _OUTCOMES))
            for day, bot in dict.fromkeys((day, bot) for day, bot, _ in by_bot)
        ]
        of_notices = [
            NoticeOutcomes(*notice, *(by_notice[notice, outcome] for outcome in _OUTCOMES))
            for notice in dict.fromkeys(notice for notice, _ in by_notice)
        ]
        try:
            await self._store.add_outcomes(rows, of_notices)
        except BaseException:
            self._ended += ended  # (R2)
            raise


def _seen(purposes: Sequence[str], wanted: str | None, scope: ReadScope) -> Sequence[str]:
    """Return the purposes under which the reader sees the dialog; empty if it is out of scope."""
    if not scope.covers(purposes) or (wanted is not None and wanted not in purposes):
        return ()
    return [purpose for purpose in purposes if scope.covers([purpose]) and wanted in (None, purpose)]


def _keys(by: Sequence[By], values: Sequence[Value], purposes: Sequence[str]) -> list[tuple[Value, ...]]:
    if not purposes:
        return []
    if "purpose" not in by:
        return [tuple(values)]
    place = by.index("purpose")
    return [(*values[:place], purpose, *values[place:]) for purpose in purposes]


def _in_order(key: tuple[Value, ...]) -> list[tuple[bool, int, str]]:
    # None first; numbers by value, texts by letter.
    return [(value is not None, value if isinstance(value, int) else 0, str(value)) for value in key]
