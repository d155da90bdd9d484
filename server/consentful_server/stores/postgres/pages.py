"""A selection as SQL: a keyset page of messages, or of dialogs, whose cost does not grow with the store.

Each page follows one index in its own order, so it skips no rows:

    filter                        newest                                       stored
    none, times                   messages_by_receipt                          messages_pkey, in the time's dialogs
    bot, purpose, role, language  a merge over messages_by_kind                over messages_by_kind_and_number
    customer                      messages_by_customer                         dialogs_by_customer, sorted
    dialog_id, dialog_ids         these dialogs, sorted                        the same
    annotations                   the dialogs of annotation_terms, sorted      the same

and for dialogs `dialogs_by_receipt`, `dialog_kinds_by_receipt`, `dialogs_by_customer_and_receipt` and the like; by
length `dialogs_by_length`, which has no kinds: `query.check_order` refuses what would read through all of it. In random
order every page reads the number of each dialog that matches, and computes its lot (`stores.lots`). A customer's page
reads over those of the customer's rows that another filter excludes.

A merge takes a page of each kind that matches, from an index in the order of the page, and of all these rows the first
ones. OFFSET serves the original contract alone.
"""

from typing import Final

from ...archive.query import BY_LENGTH, Selection
from ...clock import to_micros
from ..lots import lot
from . import annotations, kinds, numbers
from .connection import Connection
from .placeholders import Placeholders

_COLUMNS: Final = "m.dialog, m.seq, m.role, m.language, m.received_at"
_NEWEST: Final = "m.received_at DESC, m.dialog DESC, m.seq DESC"
_STORED: Final = "m.dialog, m.seq"


class Query:
    """A selection, prepared: the kinds that match (None: all), the range of dialogs, the values of the statement.

    If the selection has no horizon, the statement reads it.
    """

    def __init__(self, selection: Selection, kinds_found: list[int] | None, least: int, greatest: int | None) -> None:
        self.selection = selection
        self.wanted = selection.filter
        self.kinds = kinds_found
        self.is_stored = selection.order == "stored"
        self.descends = selection.order in ("newest", "longest")
        self.least = least if selection.since is None else max(least, selection.since + 1)
        self.greatest = greatest
        self.values = Placeholders()

    def horizon(self) -> str:
        """Return the horizon as an expression."""
        horizon = self.selection.horizon
        return f"({numbers.LAST_DIALOG})" if horizon is None else f"{self.values.add(horizon)}::bigint"

    def range(self, number: str) -> list[str]:
        """Return the conditions on a dialog's number: below the horizon and, in commit order, beyond the start."""
        last = self.horizon()
        if self.greatest is not None:
            last = f"least({last}, {self.values.add(self.greatest)}::bigint)"
        if not self.is_stored:
            return [f"{number} <= {last}"]
        return [f"{number} BETWEEN {self.values.add(self.least)} AND {last}"]

    def times(self, received_at: str) -> list[str]:
        """Return the conditions on the time of receipt."""
        bounds = ((">=", self.wanted.since), ("<", self.wanted.until))
        return [f"{received_at} {sign} {self.values.add(to_micros(it))}" for sign, it in bounds if it is not None]

    def after(self, names: dict[str, int]) -> list[str]:
        """Return the condition that a row comes after the selection's position, whose columns have these values."""
        if self.selection.after is None:
            return []
        places = ", ".join(f"{self.values.add(value)}::bigint" for value in names.values())
        return [f"({', '.join(names)}) {'<' if self.descends else '>'} ({places})"]

    def messages_after(self, table: str) -> list[str]:
        """Return `after` for messages."""
        if (at := self.selection.after) is None:
            return []
        names = {f"{table}.dialog": at.dialog, f"{table}.seq": at.seq}
        return self.after(names if self.is_stored else {f"{table}.received_at": at.received_at} | names)

    def dialogs_after(self, received_at: str, number: str) -> list[str]:
        """Return `after` for dialogs."""
        if (at := self.selection.after) is None:
            return []
        return self.after({number: at.dialog} if self.is_stored else {received_at: at.received_at, number: at.dialog})

    def sorted_after(self) -> list[str]:
        """Return `after` for dialogs by their length, or in random order."""
        if (at := self.selection.after) is None:
            return []
        if self.selection.order == "random":
            place, last = self.lot("d.id"), self.lot(f"{self.values.add(at.dialog)}::bigint")
            return [f"({place}, d.id) > ({last}, {self.values.add(at.dialog)})"]
        return self.after({"d.messages": at.messages, "d.received_at": at.received_at, "d.id": at.dialog})

    def lot(self, number: str) -> str:
        """Return the lot of a dialog's number."""
        return lot(number, self.wanted.seed or 0)

    def of_kinds(self) -> list[str]:
        """Return the condition that a message is of a kind that matches."""
        return [] if self.kinds is None else [f"m.kind = ANY({self.values.add(self.kinds)}::bigint[])"]

    def of_customer(self) -> list[str]:
        return [] if self.wanted.customer is None else [f"d.customer = {self.values.add(self.wanted.customer)}"]

    def of_dialog(self) -> list[str]:
        """Return the conditions on the dialog's id."""
        one, some = self.wanted.dialog_id, self.wanted.dialog_ids
        found = [] if one is None else [f"d.dialog_id = {self.values.add(one)}"]
        return found if some is None else [*found, f"d.dialog_id = ANY({self.values.add(list(some))}::text[])"]

    def annotated(self) -> list[str]:
        """Return the condition that a dialog has an annotation as the filter wants it."""
        if not self.wanted.terms:
            return []
        having = annotations.having(self.wanted.terms, "t", self.values)
        return [f"d.id IN (SELECT t.dialog FROM annotation_terms t WHERE {having})"]

    def annotated_messages(self) -> list[str]:
        """Return the condition that a message, or its whole dialog, has such an annotation."""
        if not self.wanted.terms:
            return []
        having = annotations.having(self.wanted.terms, "t", self.values)
        found = f"SELECT 1 FROM annotation_terms t WHERE t.dialog = m.dialog AND t.seq IN (0, m.seq) AND {having}"
        return [*self.annotated(), f"EXISTS ({found})"]

    def dialog_order(self, messages: str, received_at: str, number: str) -> str:
        """Return the order of a page of dialogs, whose columns have these names."""
        if self.is_stored:
            return number
        if self.selection.order == "random":
            return f"{self.lot(number)}, {number}"
        columns = (messages, received_at, number) if self.selection.order in BY_LENGTH else (received_at, number)
        return ", ".join(f"{column} {'DESC' if self.descends else 'ASC'}" for column in columns)

    def limit(self) -> str:
        """Return the limit as a number: for one that it does not know, PostgreSQL expects a tenth of the table."""
        offset = f" OFFSET {self.values.add(self.selection.offset)}" if self.selection.offset else ""
        return f"LIMIT {self.selection.limit}{offset}"

    def limit_of_a_kind(self) -> str:
        """Return the limit of each part of a merge: the page may be all of one kind."""
        if self.selection.offset:
            return f"LIMIT {self.values.add(self.selection.limit + self.selection.offset)}"
        return f"LIMIT {self.selection.limit}"


async def prepared(db: Connection, selection: Selection) -> Query:
    """Return the query of a page."""
    found = await kinds.matching(db, selection.filter, selection.purposes)
    since, until = (None if it is None else to_micros(it) for it in (selection.filter.since, selection.filter.until))
    bounds = await kinds.between(db, since, until) if selection.order == "stored" else (0, None)
    return Query(selection, found, *bounds)


def message_sql(page: Query) -> str:
    """Return the statement that selects a page of messages."""
    order = _STORED if page.is_stored else _NEWEST
    if page.wanted.names_dialogs or page.wanted.customer is not None or page.wanted.terms:
        tables, where = "messages m JOIN dialogs d ON d.id = m.dialog", [*page.of_customer(), *page.of_kinds()]
        where += [*page.range("d.id"), *page.times("m.received_at"), *page.messages_after("m")]
        where += [*page.of_dialog(), *page.annotated_messages()]
        if page.wanted.customer is not None:
            where.append(f"m.customer = {page.values.add(kinds.customer_key(page.wanted.customer))}")
        return f"SELECT {_COLUMNS} FROM {tables} WHERE {' AND '.join(where)} ORDER BY {order} {page.limit()}"
    if page.kinds is not None:
        return _merged_messages(page, order)
    where = [*page.range("m.dialog"), *page.times("m.received_at"), *page.messages_after("m")]
    return f"SELECT {_COLUMNS} FROM messages m WHERE {' AND '.join(where)} ORDER BY {order} {page.limit()}"


def dialog_sql(page: Query) -> str:
    """Return the statement that selects a page of dialogs: their numbers, and their times of receipt."""
    wanted = page.wanted
    is_sorted = page.selection.order in (*BY_LENGTH, "random")
    is_few = wanted.customer is not None or wanted.names_dialogs or bool(wanted.terms)
    if page.kinds is not None and not is_few and not is_sorted:
        return _merged_dialogs(page)
    where = [*page.range("d.id"), *page.times("d.received_at"), *page.of_customer()]
    where += page.sorted_after() if is_sorted else page.dialogs_after("d.received_at", "d.id")
    where += [*page.of_dialog(), *page.annotated()]
    if page.kinds is not None:
        some = f"{page.values.add(page.kinds)}::bigint[]"
        where.append(f"EXISTS (SELECT 1 FROM dialog_kinds o WHERE o.dialog = d.id AND o.kind = ANY({some}))")
    columns = "d.id AS dialog, d.received_at, d.messages"
    condition, order = " AND ".join(where), page.dialog_order("d.messages", "d.received_at", "d.id")
    return f"SELECT {columns} FROM dialogs d WHERE {condition} ORDER BY {order} {page.limit()}"


def _merged_messages(page: Query, order: str) -> str:
    where = [*page.range("n.dialog"), *page.times("n.received_at"), *page.messages_after("n")]
    return (
        f"SELECT {_COLUMNS} FROM unnest({page.values.add(page.kinds)}::bigint[]) AS k (kind) CROSS JOIN LATERAL"
        f" (SELECT * FROM messages n WHERE n.kind = k.kind AND {' AND '.join(where)}"
        f" ORDER BY {order.replace('m.', 'n.')} {page.limit_of_a_kind()}) m ORDER BY {order} {page.limit()}"
    )


def _merged_dialogs(page: Query) -> str:
    where = [*page.range("n.dialog"), *page.times("n.received_at"), *page.dialogs_after("n.received_at", "n.dialog")]
    order = page.dialog_order("", "n.received_at", "n.dialog")
    return (
        f"SELECT DISTINCT n.dialog, n.received_at FROM unnest({page.values.add(page.kinds)}::bigint[]) AS k (kind)"
        f" CROSS JOIN LATERAL (SELECT n.dialog, n.received_at FROM dialog_kinds n WHERE n.kind = k.kind"
        f" AND {' AND '.join(where)} ORDER BY {order} {page.limit_of_a_kind()}) n ORDER BY {order} {page.limit()}"
    )
