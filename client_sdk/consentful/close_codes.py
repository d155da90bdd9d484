"""How a connection ends: `Lost`, so that the dialog is replayed on another one, or refused for good. Pure; tables.

The close code decides. An `error` frame before it only lends its words, because the same error can be final for one
client and passing for another.
"""

from collections.abc import Mapping
from typing import Final

from . import wire
from .errors import (
    Conflict,
    ConsentfulError,
    Erased,
    Forbidden,
    Refused,
    Superseded,
    TimedOut,
    Unauthorised,
)


class Lost(Exception):  # noqa: N818 - nobody outside the SDK sees it
    """The server is out of reach for now: connect again and replay, not before `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class StorageFailed(Exception):  # noqa: N818 - nobody outside the SDK sees it
    """The server could not store, and knows that it did not: ask the same again."""


_FINAL: Final[Mapping[int, ConsentfulError]] = {
    4501: Unauthorised("the server does not accept the token (any more); open a new dialog with a valid one"),
    4503: Forbidden("the token lacks the scope dialogs:write, or the origin is not allowed"),
    4508: TimedOut("nothing was said for too long, so everything was dropped; open a new dialog", "idle"),
    4509: Conflict("this dialog id is taken by another dialog; use a new one"),
    4510: Erased("this dialog was erased, and its id cannot be used again; open a new dialog"),
    4511: Superseded("a newer connection took this dialog over; go on there"),
    4513: TimedOut("the dialog was open for too long, so everything was dropped; open a new one", "duration"),
}
_FINAL_OF_RFC_6455: Final = frozenset((1002, 1003, 1007, 1008, 1009, 1010))
"""Protocol error, type, text, policy, size, extension: the same bytes would meet the same end (§7.4.1)."""
_FINAL_FROM: Final = 4500
_FINAL_BELOW: Final = 5000

_CLOSED_AFTERWARDS: Final = frozenset(("conflict", "erased", "unauthenticated", "forbidden"))
"""Errors that a close code follows, which decides what they mean."""

_PASSING: Final = frozenset((408, 425, 429, 500, 502, 503, 504))


def of_close(code: int | None, said: wire.Error | None) -> Lost | ConsentfulError:
    """Return what a close code means; `said` is the last `error` frame before it, if there was one."""
    final = _FINAL.get(code or 0)
    if final is not None:
        return type(final)(said.detail if said else final.detail, final.code)
    if code in _FINAL_OF_RFC_6455 or _FINAL_FROM <= (code or 0) < _FINAL_BELOW:
        if said:
            return Refused(said.detail, said.code)
        return Refused(f"the server closed the dialog for good, with code {code}", f"close_{code}")
    return Lost(f"closed with {code}", (said and said.retry_after_s) or 0.0)


def of_error(error: wire.Error) -> Lost | ConsentfulError | None:
    """Return what an `error` frame means that is no answer to a question; None if a close code will tell.

    The server may well be ready to go on after it. The SDK is not: a message that it sent was not taken, and what
    follows would only pile up behind the gap.
    """
    if error.retry:
        return Lost(f"error {error.code}", error.retry_after_s or 0.0)
    if error.code in _CLOSED_AFTERWARDS:
        return None
    return Refused(error.detail, error.code)


def of_status(status: int, retry_after: float) -> Lost | ConsentfulError:
    """Return what it means that the upgrade to a WebSocket was answered with this HTTP status."""
    if status in _PASSING:
        return Lost(f"HTTP {status}", retry_after)
    if status == 401:
        return Unauthorised("the server does not accept the token; pass a valid one as `token`")
    if status == 403:
        return Forbidden(_FINAL[4503].detail)
    if status == 400:
        return Refused("the server cannot make sense of the request; is this SDK much newer or older?", "bad_request")
    return Refused(f"no dialog can be opened at this address: it answers HTTP {status}", f"http_{status}")
