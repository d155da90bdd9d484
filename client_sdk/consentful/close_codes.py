"""How a connection ends: `Lost`, so that the dialog is replayed on another one, or refused for good. Pure; tables.

The close code decides. An `error` frame before it only contributes its text, because the same error can be final for
one client and temporary for another.
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


class Lost(Exception):  # noqa: N818 - internal to the SDK
    """The server is unreachable for now: connect again and replay, after at least `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class StorageFailed(Exception):  # noqa: N818 - internal to the SDK
    """The server could not store the dialog, and knows that it did not: send the same consent again."""


_FINAL: Final[Mapping[int, ConsentfulError]] = {
    4501: Unauthorised("the token is invalid or has expired; open a new dialog with a valid one"),
    4503: Forbidden("the token lacks the scope dialogs:write, or the origin is not allowed"),
    4508: TimedOut("the dialog was idle for too long and was discarded; open a new one", "idle"),
    4509: Conflict("this dialog id is taken by another dialog; use a new one"),
    4510: Erased("this dialog was erased, and its id cannot be used again; open a new dialog"),
    4511: Superseded("a newer connection took over this dialog; continue there"),
    4513: TimedOut("the dialog was open for too long and was discarded; open a new one", "duration"),
}
_FINAL_OF_RFC_6455: Final = frozenset((1002, 1003, 1007, 1008, 1009, 1010))
"""Protocol error, type, text, policy, size, extension: the same bytes would be refused again (§7.4.1)."""
_FINAL_FROM: Final = 4500
_FINAL_BELOW: Final = 5000

_CLOSED_AFTERWARDS: Final = frozenset(("conflict", "erased", "unauthenticated", "forbidden"))
"""Errors that are followed by a close code, which decides what they mean."""

_PASSING: Final = frozenset((408, 425, 429, 500, 502, 503, 504))


def of_close(code: int | None, error: wire.Error | None) -> Lost | ConsentfulError:
    """Return the meaning of a close code; `error` is the last `error` frame before it."""
    # Without a close frame the code is None or 1006 (RFC 6455 §7.1.5): temporary.
    final = _FINAL.get(code or 0)
    if final is not None:
        return type(final)(error.detail if error else final.detail, final.code)
    if code in _FINAL_OF_RFC_6455 or _FINAL_FROM <= (code or 0) < _FINAL_BELOW:
        if error:
            return Refused(error.detail, error.code)
        return Refused(f"the server closed the dialog for good with code {code}", f"close_{code}")
    return Lost(f"closed with {code}", (error and error.retry_after_s) or 0.0)


def of_error(error: wire.Error) -> Lost | ConsentfulError | None:
    """Return the meaning of an `error` frame that does not answer a consent; None if a close code will follow.

    The server may be willing to continue. The SDK is not: one of its messages was not accepted, and everything after it
    would only pile up behind the gap.
    """
    if error.retry:
        return Lost(f"error {error.code}", error.retry_after_s or 0.0)
    if error.code in _CLOSED_AFTERWARDS:
        return None
    return Refused(error.detail, error.code)


def of_status(status: int, retry_after: float) -> Lost | ConsentfulError:
    """Return the meaning of an HTTP status in response to the WebSocket handshake."""
    if status in _PASSING:
        return Lost(f"HTTP {status}", retry_after)
    if status == 401:
        return Unauthorised("the token is invalid or missing; pass a valid one as `token`")
    if status == 403:
        return Forbidden(_FINAL[4503].detail)
    if status == 400:
        return Refused("the server does not understand the request; compare its version with the SDK's", "bad_request")
    return Refused(f"no dialog can be opened at this address (HTTP {status})", f"http_{status}")
