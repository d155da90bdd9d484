"""Annotations as rows beside their dialogs, and as a condition on pages."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ...access_log.store import Note
from ...annotations import rules
from ...annotations.store import Anchor, Condition, SealedAnnotation
from ...archive.store import ListedDialog
from ...auth.read_scope import ReadScope
from . import access_log
from .database import Database

if TYPE_CHECKING:
    import sqlite3


class SQLiteAnnotations:
    """The `AnnotationStore` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, anchor: Anchor) -> SealedAnnotation | None:
        return await self._database.look_up(lambda db: _find(db, anchor))

    async def of_dialog(self, dialog: int) -> list[SealedAnnotation]:
        return await self._database.look_up(lambda db: _select(db, [dialog], ()))

    async def put(
        self, annotation: SealedAnnotation, terms: Sequence[str], condition: Condition, scope: ReadScope, note: Note
    ) -> bool:
        return await self._database.writer.write(lambda db: _put(db, annotation, terms, condition, scope, note))

    async def delete(self, anchor: Anchor, condition: Condition, note: Note) -> bool:
        return await self._database.writer.write(lambda db: _delete(db, anchor, condition, note), erases=True)


def having(terms: Sequence[str], row: str) -> tuple[str, dict[str, Any]]:
    """Return the condition that the row of `annotation_terms` is of an annotation with all these terms, and its values.

    The first term is compared alone, so that the index of the table gives the dialogs in order.
    """
    others = (
        f" AND EXISTS (SELECT 1 FROM annotation_terms o WHERE o.term = :term{number} AND o.dialog = {row}.dialog"
        f" AND o.seq = {row}.seq AND o.annotator = {row}.annotator)"
        for number in range(1, len(terms))
    )
    values = {f"term{number}": term for number, term in enumerate(terms)}
    return f"{row}.term = :term0{''.join(others)}", values


def with_annotations(
    db: "sqlite3.Connection", dialogs: Sequence[ListedDialog], terms: Sequence[str]
) -> list[ListedDialog]:
    """Return the dialogs with their annotations that have all these terms, from one statement."""
    found: dict[int, list[SealedAnnotation]] = {dialog.number: [] for dialog in dialogs}
    for annotation in _select(db, list(found), terms):
        found[annotation.anchor.dialog].append(annotation)
    return [msgspec.structs.replace(dialog, annotations=tuple(found[dialog.number])) for dialog in dialogs]


def shred(db: "sqlite3.Connection", dialog: int) -> None:
    """Delete all annotations of a dialog, and what filters find them by."""
    db.execute("DELETE FROM annotation_terms WHERE dialog = ?", (dialog,))
    db.execute("DELETE FROM annotations WHERE dialog = ?", (dialog,))


def _select(db: "sqlite3.Connection", dialogs: Sequence[int], terms: Sequence[str]) -> list[SealedAnnotation]:
    sql = "SELECT a.dialog, a.seq, a.annotator, a.sealed FROM json_each(:dialogs) n CROSS JOIN annotations a"
    values: dict[str, Any] = {"dialogs": json.dumps(dialogs)}
    where = ["a.dialog = n.value"]
    if terms:
        condition, asked = having(terms, "t")
        values |= asked
        where.append(
            "EXISTS (SELECT 1 FROM annotation_terms t WHERE t.dialog = a.dialog AND t.seq = a.seq"
            f" AND t.annotator = a.annotator AND {condition})"
        )
    rows = db.execute(f"{sql} WHERE {' AND '.join(where)} ORDER BY a.dialog, a.seq, a.annotator", values)
    return [SealedAnnotation(Anchor(dialog, seq, annotator), sealed) for dialog, seq, annotator, sealed in rows]


def _find(db: "sqlite3.Connection", anchor: Anchor) -> SealedAnnotation | None:
    sql = "SELECT sealed FROM annotations WHERE dialog = ? AND seq = ? AND annotator = ?"
    row = db.execute(sql, msgspec.structs.astuple(anchor)).fetchone()
    return None if row is None else SealedAnnotation(anchor, row[0])


def _put(
    db: "sqlite3.Connection",
    annotation: SealedAnnotation,
    terms: Sequence[str],
    condition: Condition,
    scope: ReadScope,
    note: Note,
) -> bool:
    anchor = annotation.anchor
    row = db.execute("SELECT purposes FROM dialogs WHERE id = ?", (anchor.dialog,)).fetchone()
    is_new = rules.on_put(None if row is None else tuple(json.loads(row[0])), _find(db, anchor), condition, scope)
    _remove(db, anchor)
    at = msgspec.structs.astuple(anchor)
    db.execute("INSERT INTO annotations VALUES (?, ?, ?, ?)", (*at, annotation.sealed))
    db.executemany("INSERT INTO annotation_terms VALUES (?, ?, ?, ?)", [(term, *at) for term in terms])
    access_log.append(db, note)
    return is_new


def _delete(db: "sqlite3.Connection", anchor: Anchor, condition: Condition, note: Note) -> bool:
    if not rules.on_delete(_find(db, anchor), condition):
        return False
    _remove(db, anchor)
    access_log.append(db, note)
    return True


def _remove(db: "sqlite3.Connection", anchor: Anchor) -> None:
    for table in ("annotation_terms", "annotations"):
        sql = f"DELETE FROM {table} WHERE dialog = ? AND seq = ? AND annotator = ?"
        db.execute(sql, msgspec.structs.astuple(anchor))
