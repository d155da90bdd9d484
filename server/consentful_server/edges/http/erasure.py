"""An erasure's outcome, as every route that erases answers it."""

from datetime import datetime
from typing import Final, Literal

import msgspec
from aiohttp import web

from ... import errors
from ...archive.store import ErasureOutcome
from .bodies import JSON
from .pipeline import json
from .route import Answer


class Erased(msgspec.Struct, frozen=True):
    """An erasure's outcome: `unreadable` once no copy of the key is left here, `pending` until a reader lets go.

    `complete` once no master key is left that opens an earlier copy of it.
    """

    dialog_id: str
    erased_at: datetime
    status: Literal["pending", "unreadable", "complete"]


def erased(erasure: ErasureOutcome) -> web.Response:
    tombstone = erasure.tombstone
    status = "complete" if tombstone.complete else "unreadable" if erasure.is_unreadable else "pending"
    answer = Erased(tombstone.dialog_id, tombstone.moment, status)
    return json(answer, status=200 if erasure.is_unreadable else 202)


ERASED: Final = (Answer({JSON: Erased}), Answer({JSON: Erased}, 202))


WRITING: Final = (errors.NotFound, errors.StorageFailed, errors.OutcomeUnknown)
