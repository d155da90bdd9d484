"""Annotations as rows beside their dialogs, and as a condition on pages."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ...access_log.store import Note
from ...annotations import rules
from ...annotations.store import Anchor, Condition, SealedAnnotation
from ...archive.store import ListedDialog
from ...auth.read_scope import ReadScope
from . import access_log
from .connection import Connection
from .database import Database
from .placeholders import Placeholders
from .purposes import purposes_of

_AT: Final = "dialog = $1 AND seq = $2 AND annotator = $3"


class PostgresAnnotations:
    """The `AnnotationStore` of a PostgreSQL database."""

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
        return await self._database.writer.write(lambda db: _delete(db, anchor, condition, note))


def having(terms: Sequence[str], row: str, values: Placeholders) -> str:
    """Return the condition that the row of `annotation_terms` is of an annotation with all these terms.

    The first term is compared alone, so that the index of the table gives the dialogs in order.
    """
    others = (
        f" AND EXISTS (SELECT 1 FROM annotation_terms o WHERE o.term = {values.add(term)} AND o.dialog = {row}.dialog"
        f" AND o.seq = {row}.seq AND o.annotator = {row}.annotator)"
        for term in terms[1:]
    )
    return f"{row}.term = {values.add(terms[0])}{''.join(others)}"


async def with_annotations(
    db: Connection, dialogs: Mapping[int, ListedDialog], terms: Sequence[str]
) -> dict[int, ListedDialog]:
    """Return the dialogs with their annotations that have all these terms, from one statement."""
    found: dict[int, list[SealedAnnotation]] = {number: [] for number in dialogs}
    for annotation in await _select(db, list(found), terms):
        found[annotation.anchor.dialog].append(annotation)
    return {
        number: msgspec.structs.replace(dialog, annotations=tuple(found[number])) for number, dialog in dialogs.items()
    }


async def shred(db: Connection, dialog: int) -> None:
    """Delete all annotations of a dialog, and what filters find them by."""
    await db.execute("DELETE FROM annotation_terms WHERE dialog = $1", dialog)
    await db.execute("DELETE FROM annotations WHERE dialog = $1", dialog)


async def _select(db: Connection, dialogs: Sequence[int], terms: Sequence[str]) -> list[SealedAnnotation]:
    values = Placeholders()
    where = [f"a.dialog = ANY({values.add(list(dialogs))}::bigint[])"]
    if terms:
        where.append(
            "EXISTS (SELECT 1 FROM annotation_terms t WHERE t.dialog = a.dialog AND t.seq = a.seq"
            f" AND t.annotator = a.annotator AND {having(terms, 't', values)})"
        )
    sql = (
        f"SELECT a.dialog, a.seq, a.annotator, a.sealed FROM annotations a WHERE {' AND '.join(where)} ORDER BY 1, 2, 3"
    )
    return [
        SealedAnnotation(Anchor(dialog, seq, annotator), sealed)
        for dialog, seq, annotator, sealed in await db.fetch(sql, *values)
    ]


async def _find(db: Connection, anchor: Anchor) -> SealedAnnotation | None:
    sealed = await db.fetchval(f"SELECT sealed FROM annotations WHERE {_AT}", *msgspec.structs.astuple(anchor))
    return None if sealed is None else SealedAnnotation(anchor, sealed)


async def _put(
    db: Connection,
    annotation: SealedAnnotation,
    terms: Sequence[str],
    condition: Condition,
    scope: ReadScope,
    note: Note,
) -> bool:
    anchor = annotation.anchor
    purposes = await db.fetchval("SELECT purposes FROM dialogs WHERE id = $1", anchor.dialog)
    known = None if purposes is None else purposes_of(purposes)
    is_new = rules.on_put(known, await _find(db, anchor), condition, scope)
    await _remove(db, anchor)
    at = msgspec.structs.astuple(anchor)
    await db.execute("INSERT INTO annotations VALUES ($1, $2, $3, $4)", *at, annotation.sealed)
    sql = "INSERT INTO annotation_terms SELECT t.term, $1, $2, $3 FROM unnest($4::text[]) AS t (term)"
    await db.execute(sql, *at, list(terms))
    await access_log.append(db, [note])
    return is_new


async def _delete(db: Connection, anchor: Anchor, condition: Condition, note: Note) -> bool:
    if not rules.on_delete(await _find(db, anchor), condition):
        return False
    await _remove(db, anchor)
    await access_log.append(db, [note])
    return True


async def _remove(db: Connection, anchor: Anchor) -> None:
    for table in ("annotation_terms", "annotations"):
        await db.execute(f"DELETE FROM {table} WHERE {_AT}", *msgspec.structs.astuple(anchor))
