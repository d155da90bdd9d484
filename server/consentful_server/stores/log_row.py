"""An entry of the access log as a row of the table `access_log`, which has the same columns in both kinds of store."""

from collections.abc import Sequence
from typing import Any, Final

from ..access_log.chain import Entry, Link
from ..access_log.store import Logged

_SEPARATOR: Final = ","


def row_of(linked: Link) -> tuple[Any, ...]:
    """Return the values of the table's columns, in their order: the fields of the entry, and its link."""
    entry = linked.entry
    return (
        entry.number,
        entry.at,
        entry.kind,
        entry.who,
        entry.action,
        entry.request,
        entry.subject,
        _SEPARATOR.join(entry.filters),
        entry.commitment,
        entry.rows,
        entry.dialogs,
        linked.link,
    )


def logged_of(row: Sequence[Any]) -> Logged:
    """Return the entry of a row, which is followed by the sealed values of its filters."""
    *fields, link, sealed = row
    named: dict[str, Any] = dict(zip(Entry.__struct_fields__, fields, strict=True))
    named["filters"] = tuple(named["filters"].split(_SEPARATOR)) if named["filters"] else ()
    return Logged(Link(Entry(**named), link), sealed)
