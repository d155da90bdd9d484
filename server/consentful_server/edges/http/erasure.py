"""The outcome of an erasure, as returned by every route that erases."""

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
    """The outcome of an erasure.

    `pending`: the key is overwritten, but the store may still hold an earlier copy of it; repeat the request.
    `unreadable`: no copy of the key is left in this service's files. `complete`: the master key that earlier copies of
    the key were wrapped with is destroyed as well.
    """

    dialog_id: str
    erased_at: datetime
    status: Literal["pending", "unreadable", "complete"]


def status_of(erasure: ErasureOutcome) -> Literal["pending", "unreadable", "complete"]:
    """Return the status of an erasure, as in `Erased`."""
    return "complete" if erasure.tombstone.complete else "unreadable" if erasure.is_unreadable else "pending"


def erased(erasure: ErasureOutcome) -> web.Response:
    tombstone = erasure.tombstone
    answer = Erased(tombstone.dialog_id, tombstone.moment, status_of(erasure))
    return json(answer, status=200 if erasure.is_unreadable else 202)


ERASED: Final = (Answer({JSON: Erased}), Answer({JSON: Erased}, 202))
"""The responses of a route that erases."""

ERASURE_REFUSALS: Final = (errors.NotFound, errors.StorageFailed, errors.OutcomeUnknown)
"""The refusals of a route that erases."""
