"""The HTTP status and the WebSocket close code of each refusal, in one table."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from consentful import wire

from ... import errors
from ...errors import Refusal


class Fault(msgspec.Struct, frozen=True):
    """How a refusal is sent.

    `close` None: the dialog stays open. `close` below 4500: the client reconnects and replays. `retry` True: the same
    frame or request can succeed later.
    """

    status: int
    close: int | None = None
    retry: bool | None = None


FAULTS: Final[Mapping[str, Fault]] = {
    errors.OutOfOrder.code: Fault(HTTPStatus.CONFLICT),
    errors.Gap.code: Fault(HTTPStatus.CONFLICT),
    errors.OverLimit.code: Fault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    errors.Incomplete.code: Fault(HTTPStatus.CONFLICT),
    errors.Empty.code: Fault(HTTPStatus.CONFLICT),
    errors.UnknownNotice.code: Fault(HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.UnknownPurpose.code: Fault(HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.StorageFailed.code: Fault(HTTPStatus.SERVICE_UNAVAILABLE, retry=True),
    errors.Conflict.code: Fault(HTTPStatus.CONFLICT, close=4509),
    errors.Erased.code: Fault(HTTPStatus.GONE, close=4510),
    errors.OutcomeUnknown.code: Fault(HTTPStatus.SERVICE_UNAVAILABLE, close=4004, retry=True),
    errors.Overloaded.code: Fault(HTTPStatus.SERVICE_UNAVAILABLE, close=4005, retry=True),
    errors.TooOften.code: Fault(HTTPStatus.TOO_MANY_REQUESTS, close=4005, retry=True),
    errors.ProviderDown.code: Fault(HTTPStatus.SERVICE_UNAVAILABLE, close=4005, retry=True),
    errors.ChoresFailing.code: Fault(HTTPStatus.SERVICE_UNAVAILABLE),
    errors.Unauthenticated.code: Fault(HTTPStatus.UNAUTHORIZED, close=4501),
    errors.TokenExpired.code: Fault(HTTPStatus.UNAUTHORIZED, close=4003, retry=True),
    errors.Forbidden.code: Fault(HTTPStatus.FORBIDDEN, close=4503),
    errors.BadRequest.code: Fault(HTTPStatus.BAD_REQUEST),
    errors.Lost.code: Fault(HTTPStatus.CONFLICT),
    errors.KeyReused.code: Fault(HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.KeyInUse.code: Fault(HTTPStatus.CONFLICT, retry=True),
    errors.NotOpen.code: Fault(HTTPStatus.CONFLICT),
    errors.NotFound.code: Fault(HTTPStatus.NOT_FOUND),
    errors.Stale.code: Fault(HTTPStatus.PRECONDITION_FAILED),
    errors.Restored.code: Fault(HTTPStatus.GONE),
    errors.Damaged.code: Fault(HTTPStatus.INTERNAL_SERVER_ERROR),
    errors.Unsupported.code: Fault(HTTPStatus.NOT_IMPLEMENTED),
    errors.NotAcceptable.code: Fault(HTTPStatus.NOT_ACCEPTABLE),
    errors.WrongMediaType.code: Fault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
}

CLOSED_TOO_MANY_BAD_FRAMES: Final = 4500
CLOSED_IDLE: Final = 4508
CLOSED_SUPERSEDED: Final = 4511
CLOSED_NOT_OPENED: Final = 4512
CLOSED_TOO_LONG: Final = 4513
CLOSED_DRAINING: Final = 4001
CLOSED_SLOW: Final = 4002
CLOSED_OVERLOADED: Final = 4005
CLOSED_DECIDED: Final = 1000
CLOSED_BAD_TEXT: Final = 1007
CLOSED_FAULT: Final = 1011

CLOSES: Final = {"open": CLOSED_NOT_OPENED, "idle": CLOSED_IDLE, "duration": CLOSED_TOO_LONG}
"""The close code of each deadline of a dialog."""


def fault_of(refusal: Refusal) -> Fault:
    """Return the refusal's status and close code. A test checks that the table has every code."""
    return FAULTS[refusal.code]


def to_wire(refusal: Refusal, seq: int | None = None) -> wire.Error:
    """Return the `error` frame of a refusal."""
    if isinstance(refusal, errors.BadRequest):  # a WebSocket has frames with JSON paths, not parameters
        return wire.Error("frame", f"$.{refusal.parameter}: {refusal.expectation}", seq=seq)
    return wire.Error(
        refusal.code,
        refusal.detail,
        seq=seq,
        expected=getattr(refusal, "expected", None),
        retry=fault_of(refusal).retry,
        retry_after_s=getattr(refusal, "retry_after_s", None),
    )
