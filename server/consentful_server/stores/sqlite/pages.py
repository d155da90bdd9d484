"""A selection as one SQL statement: a keyset page of messages or dialogs. OFFSET serves the original contract alone."""

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...archive.query import Filter, Selection
from ...archive.store import ListedDialog, MessageRow
from ...clock import to_micros
from . import dialog_rows as rows
from .languages import in_range

if TYPE_CHECKING:
    import sqlite3

_decode_rows: Final = msgspec.json.Decoder(list[MessageRow]).decode


def messages(db: "sqlite3.Connection", selection: Selection) -> list[MessageRow]:
    """Return one page of message rows, at most `limit`, in the order of the selection."""
    where, values = _conditions(selection.filter, selection.purposes)
    # The horizon is the greatest dialog number that existed when the walk began.
    where.insert(0, "m.dialog <= ?")
    values.insert(0, selection.horizon)
    after = selection.after
    if selection.order == "newest":
        order = "m.received_at DESC, m.dialog DESC, m.seq DESC"
        if after is not None:
            where.append("(m.received_at, m.dialog, m.seq) < (?, ?, ?)")
            values += [after.received_at, after.dialog, after.seq]
    else:
        order = "m.dialog, m.seq"
        if selection.since is not None:
            where.append("m.dialog > ?")
            values.append(selection.since)
        if after is not None:
            where.append("(m.dialog, m.seq) > (?, ?)")
            values += [after.dialog, after.seq]
    # The page comes as one row: sqlite3 releases the GIL at every step, and under load each wait for it takes long.
    sql = (
        "SELECT json_group_array(json_array(dialog, seq, role, language, received_at)) FROM ("
        f"SELECT m.dialog, m.seq, m.role, m.language, m.received_at FROM {_message_tables(selection)}"
        f" WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ? OFFSET ?)"
    )
    return _decode_rows(db.execute(sql, [*values, selection.limit, selection.offset]).fetchone()[0])


def dialogs(db: "sqlite3.Connection", selection: Selection) -> list[ListedDialog]:
    """Return one page of dialogs, at most `limit`, in the order of the selection, without their message heads."""
    where, values = _dialog_conditions(selection.filter, selection.purposes)
    on_messages, message_values = _message_conditions(selection.filter)
    if on_messages:
        where.append(f"EXISTS (SELECT 1 FROM messages m WHERE m.dialog = d.id AND {' AND '.join(on_messages)})")
        values += message_values
    times, time_values = _time_conditions("d", selection.filter)
    where += ["d.id <= ?", *times]
    values += [selection.horizon, *time_values]
    after = selection.after
    if selection.order == "newest":
        order = "d.received_at DESC, d.id DESC"
        if after is not None:
            where.append("(d.received_at, d.id) < (?, ?)")
            values += [after.received_at, after.dialog]
    else:
        order = "d.id"
        if selection.since is not None:
            where.append("d.id > ?")
            values.append(selection.since)
        if after is not None:
            where.append("d.id > ?")
            values.append(after.dialog)
    sql = f"{rows.SELECT_LISTED} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
    return [rows.listed(row) for row in db.execute(sql, [*values, selection.limit])]


def _message_tables(selection: Selection) -> str:
    """Return the FROM clause in which SQLite begins with the table that narrows most.

    CROSS JOIN fixes the order: the messages of a customer or of one dialog are found through `dialogs`; all others by
    walking `messages` in the order of an index, which needs no sort at any depth.
    """
    wanted = selection.filter
    if wanted.customer is not None or wanted.dialog_id is not None:
        return "dialogs d CROSS JOIN messages m ON m.dialog = d.id"
    if wanted.bot is not None or wanted.purpose is not None or selection.purposes is not None:
        return "messages m CROSS JOIN dialogs d ON d.id = m.dialog"
    return "messages m"


def _conditions(wanted: Filter, purposes: tuple[str, ...] | None) -> tuple[list[str], list[Any]]:
    parts = (_dialog_conditions(wanted, purposes), _message_conditions(wanted), _time_conditions("m", wanted))
    return [sql for where, _ in parts for sql in where], [value for _, values in parts for value in values]


def _dialog_conditions(wanted: Filter, purposes: tuple[str, ...] | None) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, value in (("customer", wanted.customer), ("dialog_id", wanted.dialog_id), ("bot", wanted.bot)):
        if value is not None:
            where.append(f"d.{column} = ?")
            values.append(value)
    if wanted.purpose is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(d.purposes) WHERE value = ?)")
        values.append(wanted.purpose)
    if purposes is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(d.purposes) p JOIN json_each(?) mine ON p.value = mine.value)")
        values.append(json.dumps(purposes))
    return where, values


def _message_conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    if wanted.language is not None:
        condition, tags = in_range("m.language", wanted.language)
        where.append(condition)
        values += tags
    if wanted.role is not None:
        where.append("m.role = ?")
        values.append(wanted.role)
    return where, values


def _time_conditions(table: str, wanted: Filter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for comparison, moment in ((">=", wanted.since), ("<", wanted.until)):
        if moment is not None:
            where.append(f"{table}.received_at {comparison} ?")
            values.append(to_micros(moment))
    return where, values
