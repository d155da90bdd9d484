"""A selection as SQL: a keyset page of messages, or of dialogs, whose cost does not grow with the store.

Each page follows one index in its own order, so it needs no sort and skips no rows:

    filter                               newest                                stored
    none, times                          messages_by_receipt                   messages, within the dialogs of the time
    bot, purpose, role, language         a merge over messages_by_kind         a merge over dialog_kinds
    customer                             messages_by_customer                  dialogs_by_customer
    dialog_id, dialog_ids                these dialogs, sorted
    annotations                          the dialogs with such an annotation, from annotation_terms, sorted

and for dialogs `dialogs_by_receipt`, `dialog_kinds_by_receipt`, `dialogs_by_customer_and_receipt` and the like; by
length `dialogs_by_length`, which has no kinds: `query.check_order` refuses what would read through all of it. In random
order every page reads the number of each dialog that matches, and computes its lot (`stores.lots`). A customer's page
reads over those of the customer's rows that another filter excludes.

A merge is a recursive query whose queue holds the next row of each kind (SQLite takes rows out of the queue in the
order of its ORDER BY). `+ 0` takes the affinity from a column of the queue: only then does SQLite search the index by
all columns of a comparison of rows, and not by the first alone, which many messages of one batch share.

CROSS JOIN keeps the order of tables. Without it, SQLite begins with another table and sorts. OFFSET serves the original
contract alone.
"""

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...archive.query import BY_LENGTH, Selection
from ...archive.store import MessageRow
from ...clock import to_micros
from ..lots import lot
from . import annotations, kinds

if TYPE_CHECKING:
    import sqlite3

_decode_rows: Final = msgspec.json.Decoder(list[MessageRow]).decode

_COLUMNS: Final = "m.dialog, m.seq, m.role, m.language, m.received_at"
_NEWEST: Final = "m.received_at DESC, m.dialog DESC, m.seq DESC"
_OF_KINDS: Final = "m.kind IN (SELECT value FROM json_each(:kinds))"


def messages(db: "sqlite3.Connection", selection: Selection) -> list[MessageRow]:
    """Return one page of message rows, at most `limit`, in the order of the selection."""
    page = _Page(db, selection)
    if page.is_empty:
        return []
    # The page comes as one row: sqlite3 releases the GIL at every step, and under load each wait for it takes long.
    sql = f"SELECT json_group_array(json_array(dialog, seq, role, language, received_at)) FROM ({message_sql(page)})"
    return _decode_rows(db.execute(sql, page.values).fetchone()[0])


def dialogs(db: "sqlite3.Connection", selection: Selection) -> list[int]:
    """Return the numbers of one page of dialogs, at most `limit`, in the order of the selection."""
    page = _Page(db, selection)
    if page.is_empty:
        return []
    return [row[0] for row in db.execute(dialog_sql(page), page.values)]


class _Page:
    """A selection, prepared: the parameters of its statement, and the kinds that match."""

    def __init__(self, db: "sqlite3.Connection", selection: Selection) -> None:
        wanted, after = selection.filter, selection.after
        found = kinds.matching(db, wanted, selection.purposes)
        self.wanted = wanted
        self.order = selection.order
        self.is_newest = selection.order == "newest"
        self.is_after = after is not None
        self.has_kinds = found is not None
        self.is_empty = found == []
        since, until = (None if it is None else to_micros(it) for it in (wanted.since, wanted.until))
        least, greatest = kinds.between(db, since, until) if self.order == "stored" else (0, None)
        if selection.since is not None:
            least = max(least, selection.since + 1)
        self.values: dict[str, Any] = {
            "kinds": json.dumps(found),
            "horizon": selection.horizon if greatest is None else min(selection.horizon or 0, greatest),
            "least": least,
            "since": since,
            "until": until,
            "limit": selection.limit,
            "offset": selection.offset,
            "customer": wanted.customer,
            "key": None if wanted.customer is None else kinds.customer_key(wanted.customer),
            "dialog_id": wanted.dialog_id,
            "dialog_ids": None if wanted.dialog_ids is None else json.dumps(wanted.dialog_ids),
        }
        self.annotated = ""
        if wanted.terms:
            self.annotated, terms = annotations.having(wanted.terms, "t")
            self.values |= terms
        if after is not None:
            self.values |= {"received_at": after.received_at, "dialog": after.dialog, "seq": after.seq}
            self.values["length"] = after.messages

    def times(self, column: str) -> list[str]:
        """Return the conditions on the time of receipt. A place behind `until` excludes everything from there on."""
        bounds = [f"{column} >= :since"] if self.wanted.since is not None else []
        if self.wanted.until is not None and not (self.is_newest and self.is_after):
            bounds.append(f"{column} < :until")
        return bounds

    def of_kinds(self) -> list[str]:
        """Return the condition that a message is of a kind that matches."""
        return [_OF_KINDS] if self.has_kinds else []


def message_sql(page: _Page) -> str:
    """Return the statement that selects a page of messages."""
    where = [*page.times("m.received_at"), *_messages_after(page)]
    if page.annotated:
        tables = f"{_annotated(page)} CROSS JOIN messages m ON m.dialog = d.id"
        where = [*where, *page.of_kinds(), *_of_customer(page), *_of_dialog(page)]
        where.append(
            "EXISTS (SELECT 1 FROM annotation_terms t WHERE t.dialog = m.dialog AND t.seq IN (0, m.seq)"
            f" AND {page.annotated})"
        )
    elif page.wanted.names_dialogs:
        tables, where = "dialogs d CROSS JOIN messages m ON m.dialog = d.id", [*where, *page.of_kinds()]
        where += [*_of_dialog(page), *_of_customer(page)]
    elif page.wanted.customer is not None and page.is_newest:
        tables, where = "messages m CROSS JOIN dialogs d ON d.id = m.dialog", [*where, *page.of_kinds()]
        where += ["m.customer = :key", *_of_customer(page)]
    elif page.wanted.customer is not None:
        tables, where = "dialogs d CROSS JOIN messages m ON m.dialog = d.id", [*where, *page.of_kinds()]
        where += [*_of_customer(page), *_dialogs_from(page, "d.id")]
        return _statement(tables, where, "d.id, m.seq")
    elif not page.has_kinds:
        tables = "messages m"
    elif page.is_newest:
        return _merged_messages(page)
    else:
        # A dialog may have been left in its middle, so the page begins with it again.
        dialogs_of_kinds = _merged_dialogs(page, "n.dialog >= :dialog", ["n.dialog >= :least"])
        tables = f"({dialogs_of_kinds}) w CROSS JOIN messages m ON m.dialog = w.dialog"
        return _statement(tables, [*where, _OF_KINDS], "")
    return _statement(tables, where, _NEWEST if page.is_newest else "m.dialog, m.seq")


def dialog_sql(page: _Page) -> str:
    """Return the statement that selects the numbers of a page of dialogs."""
    wanted = page.wanted
    if page.order in BY_LENGTH:
        return _by_length(page)
    if page.order == "random":
        return _by_lot(page)
    if page.has_kinds and wanted.customer is None and not wanted.names_dialogs and not page.annotated:
        fixed = [] if page.is_newest else ["n.dialog >= :least", *page.times("n.received_at")]
        return f"{_merged_dialogs(page, 'n.dialog > :dialog', fixed)} LIMIT :limit"
    where = [*page.times("d.received_at"), *_of_customer(page)]
    where.append("+d.id <= :horizon" if page.is_newest else "d.id BETWEEN :least AND :horizon")
    where += [*_of_dialog(page), *_has_kinds(page)]
    if page.is_after:
        where.append("(d.received_at, d.id) < (:received_at, :dialog)" if page.is_newest else "d.id > :dialog")
    order = "d.received_at DESC, d.id DESC" if page.is_newest else "d.id"
    tables = _annotated(page) if page.annotated else "dialogs d"
    return f"SELECT d.id FROM {tables} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT :limit"


def _by_length(page: _Page) -> str:
    """Return the statement that selects the numbers of a page of dialogs by their number of messages."""
    beyond, way = ("<", "DESC") if page.order == "longest" else (">", "ASC")
    after = f"(d.messages, d.received_at, d.id) {beyond} (:length, :received_at, :dialog)"
    return _sorted(page, f"d.messages {way}, d.received_at {way}, d.id {way}", after)


def _by_lot(page: _Page) -> str:
    """Return the statement that selects the numbers of a page of dialogs in random order."""
    place, last = lot("d.id", page.wanted.seed or 0), lot(":dialog", page.wanted.seed or 0)
    return _sorted(page, f"{place}, d.id", f"({place}, d.id) > ({last}, :dialog)")


def _sorted(page: _Page, order: str, after: str) -> str:
    where = ["+d.id <= :horizon", *page.times("d.received_at"), *_of_customer(page), *_of_dialog(page)]
    where += [*_has_kinds(page), *([after] if page.is_after else [])]
    tables = _annotated(page) if page.annotated else "dialogs d"
    return f"SELECT d.id FROM {tables} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT :limit"


def _statement(tables: str, where: list[str], order: str) -> str:
    ordered = f"ORDER BY {order} " if order else ""
    return f"SELECT {_COLUMNS} FROM {tables} WHERE {' AND '.join(where)} {ordered}LIMIT :limit OFFSET :offset"


def _messages_after(page: _Page) -> list[str]:
    if page.is_newest:
        after = "(m.received_at, m.dialog, m.seq) < (:received_at, :dialog, :seq)"
        # The unary + keeps SQLite from walking by number and sorting.
        return ["+m.dialog <= :horizon", *([after] if page.is_after else [])]
    return ["m.dialog BETWEEN :least AND :horizon", *(["(m.dialog, m.seq) > (:dialog, :seq)"] if page.is_after else [])]


def _dialogs_from(page: _Page, column: str) -> list[str]:
    """Return the conditions on the dialogs of a page of messages, the one in which the last page ended included."""
    return [f"{column} BETWEEN :least AND :horizon", *([f"{column} >= :dialog"] if page.is_after else [])]


def _of_customer(page: _Page) -> list[str]:
    return ["d.customer = :customer"] if page.wanted.customer is not None else []


def _has_kinds(page: _Page) -> list[str]:
    """Return the condition that a dialog has a message of a kind that matches."""
    if not page.has_kinds:
        return []
    kinds = "json_each(:kinds) k CROSS JOIN dialog_kinds o ON o.kind = k.value AND o.dialog = d.id"
    return [f"EXISTS (SELECT 1 FROM {kinds})"]


def _of_dialog(page: _Page) -> list[str]:
    one = ["d.dialog_id = :dialog_id"] if page.wanted.dialog_id is not None else []
    some = ["d.dialog_id IN (SELECT value FROM json_each(:dialog_ids))"] if page.wanted.dialog_ids is not None else []
    return one + some


def _annotated(page: _Page) -> str:
    """Return the tables of the dialogs with an annotation as the filter wants it."""
    numbers = f"SELECT DISTINCT t.dialog AS number FROM annotation_terms t WHERE {page.annotated}"
    return f"({numbers}) w CROSS JOIN dialogs d ON d.id = w.number"


def _merged_messages(page: _Page) -> str:
    """Return the statement that merges the messages of several kinds, newest first."""
    fixed = ["+n.dialog <= :horizon", *(["n.received_at >= :since"] if page.wanted.since is not None else [])]
    first = [*fixed, *_newest_first(page, "(n.received_at, n.dialog, n.seq) < (:received_at, :dialog, :seq)")]
    then = [*fixed, "(n.received_at, n.dialog, n.seq) < (w.received_at + 0, w.dialog + 0, w.seq + 0)"]

    def step(tables: str, kind: str, where: list[str]) -> str:
        return (
            f"SELECT {_COLUMNS}, m.kind FROM {tables} CROSS JOIN messages m ON (m.dialog, m.seq) = ("
            f"SELECT n.dialog, n.seq FROM messages n WHERE n.kind = {kind} AND {' AND '.join(where)}"
            " ORDER BY n.received_at DESC, n.dialog DESC, n.seq DESC LIMIT 1)"
        )

    return (
        "WITH RECURSIVE walk(dialog, seq, role, language, received_at, kind) AS ("
        f"{step('json_each(:kinds) k', 'k.value', first)} UNION ALL {step('walk w', 'w.kind', then)}"
        " ORDER BY 5 DESC, 1 DESC, 2 DESC LIMIT :limit OFFSET :offset)"
        " SELECT dialog, seq, role, language, received_at FROM walk"
    )


def _merged_dialogs(page: _Page, after: str, fixed: list[str]) -> str:
    """Return the statement that merges the dialogs of several kinds, without a limit: SQLite runs it only as far as the
    rows are read. In commit order it begins `after` the last page; `fixed` holds for each dialog.
    """
    fixed = ["+n.dialog <= :horizon" if page.is_newest else "n.dialog <= :horizon", *fixed]
    first = list(fixed)
    if not page.is_newest:
        order, key, then = "n.dialog", "1", [*fixed, "n.dialog > w.dialog"]
        first += [after] if page.is_after else []
    else:
        order, key = "n.received_at DESC, n.dialog DESC", "2 DESC, 1 DESC"
        fixed += ["n.received_at >= :since"] if page.wanted.since is not None else []
        then = [*fixed, "(n.received_at, n.dialog) < (w.received_at + 0, w.dialog + 0)"]
        first = [*fixed, *_newest_first(page, "(n.received_at, n.dialog) < (:received_at, :dialog)")]

    def step(tables: str, kind: str, where: list[str]) -> str:
        return (
            f"SELECT o.dialog, o.received_at, o.kind FROM {tables} CROSS JOIN dialog_kinds o ON o.kind = {kind}"
            f" AND o.dialog = (SELECT n.dialog FROM dialog_kinds n WHERE n.kind = {kind}"
            f" AND {' AND '.join(where)} ORDER BY {order} LIMIT 1)"
        )

    return (
        "WITH RECURSIVE walk(dialog, received_at, kind) AS ("
        f"{step('json_each(:kinds) k', 'k.value', first)} UNION ALL {step('walk w', 'w.kind', then)}"
        f" ORDER BY {key}) SELECT DISTINCT dialog FROM walk"
    )


def _newest_first(page: _Page, after: str) -> list[str]:
    """Return the condition with which a merge begins, newest first."""
    if page.is_after:
        return [after]
    return ["n.received_at < :until"] if page.wanted.until is not None else []
