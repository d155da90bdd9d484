"""A wording of a notice as a row of the table `notices`, which has the same columns in both kinds of store."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from ..consent.notices import Terms, Wording


class _Stored(Terms, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The JSON of the column `terms`. Versions of the service share a database, so none stores a member without need.

    Without names it is what a version stores that knows none; and what a later one adds is not read.
    """

    purpose_names: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


READ: Final = "notice, language, text, purposes, controller, contact, retention_days, terms, added_at, retired_at"
"""The columns that `wording_of` takes, in its order."""


def wording_of(row: Sequence[Any]) -> Wording:
    """Return the wording of a row of the columns `READ`."""
    notice, language, text, purposes, controller, contact, days, terms, added_at, retired_at = row
    stored = msgspec.json.decode(terms, type=_Stored)
    return Wording(
        notice,
        language,
        text,
        tuple(json.loads(purposes)),
        controller,
        contact,
        timedelta(days=days),
        Terms(**{field: getattr(stored, field) for field in Terms.__struct_fields__}),
        added_at,
        retired_at,
        stored.purpose_names or (),
    )


def row_of(wording: Wording, added_at: int) -> tuple[Any, ...]:
    """Return the values of the table's columns, in their order."""
    return (
        wording.id,
        wording.language,
        wording.sha256,
        wording.text,
        json.dumps(wording.purposes),
        wording.controller,
        wording.contact,
        wording.retention.days,
        added_at,
        None,  # when it was retired
        msgspec.json.encode(
            _Stored(**msgspec.structs.asdict(wording.terms), purpose_names=wording.purpose_names or msgspec.UNSET)
        ).decode(),
    )
