"""An erasure's outcome, as every route that erases answers it."""

from datetime import datetime
from typing import Final, Literal

import msgspec
from aiohttp import web

from ... import errors
from ...archive.store import Erasure
from ...clock import from_micros
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


def erased(erasure: Erasure) -> web.Response:
    stone = erasure.tombstone
    status = "complete" if stone.complete else "unreadable" if erasure.truncated else "pending"
    answer = Erased(stone.dialog_id, from_micros(stone.erased_at), status)
    return json(answer, status=200 if erasure.truncated else 202)


ERASED: Final = (Answer({JSON: Erased}), Answer({JSON: Erased}, 202))


WRITING: Final = (errors.NotFound, errors.StorageFailed, errors.OutcomeUnknown)
