"""The exceptions that a caller of the SDK can catch.

    ConsentfulError
    ├── TooLong            the text or the dialog exceeds a limit; nothing was sent
    ├── Incomplete         the dialog cannot be decided like this; it is still open
    ├── Finished           the dialog is over; open a new one
    │   ├── TimedOut       idle or open for too long; both sides discarded everything
    │   ├── Superseded     a newer connection took over this dialog
    │   ├── Conflict       this id belongs to another dialog, customer or credential
    │   └── Erased         this dialog was erased and cannot come back
    ├── Unavailable        no server could be reached within `reconnect_for`
    ├── OutcomeUnknown     consent was sent and no answer arrived; call grant() or decline() again
    ├── Unauthorised       the token was refused; get another one
    ├── Forbidden          the token lacks the scope, or the origin is not allowed
    ├── UnknownCode        no dialog has this withdrawal code; nothing was erased
    └── Refused            any other refusal; `code` tells which
        └── MessageRefused one earlier message was refused and taken out; the dialog goes on without it

Each has a stable `code` and a sentence that says what to do next. None contains message text. An argument that breaks
the schema is an error in the program and raises `wire.BadFrame`, a `ValueError` that names the field.
"""

# ruff: noqa: N818 - each is named for what happened

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dialog import Dialog


class ConsentfulError(Exception):
    """Base of the SDK's exceptions. `code` is stable; `detail` says what to do next."""

    code: str = "error"

    def __init__(self, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class TooLong(ConsentfulError):
    """The text or the dialog would exceed the server's limit. Nothing was sent; send a shorter text, or decide."""

    code = "limit"


class Incomplete(ConsentfulError):
    """Consent was refused and nothing was decided; the dialog is still open.

    `code` is `empty` for a dialog without messages, `notice` for an unknown notice, `purposes` for an unknown purpose.
    """

    code = "incomplete"


class Finished(ConsentfulError):
    """The dialog is over; no message can be added."""

    code = "finished"


class TimedOut(Finished):
    """The dialog was idle (`idle`) or open (`duration`) for too long. Nothing was stored; the copy was discarded."""

    code = "idle"


class Superseded(Finished):
    """A newer connection of the same chatbot and customer took over this dialog."""

    code = "superseded"


class Conflict(Finished):
    """The dialog id belongs to another dialog, customer or credential."""

    code = "conflict"


class Erased(Finished):
    """The dialog was erased or retracted, and its id cannot be used again."""

    code = "erased"


class Unavailable(ConsentfulError):
    """No server could be reached, or none could store, for `reconnect_for` seconds. Nothing was stored."""

    code = "unavailable"


class OutcomeUnknown(ConsentfulError):
    """Consent was sent, but no answer arrived. `dialog` still holds everything: call its grant() or decline() again."""

    code = "unknown"

    def __init__(self, detail: str, dialog: "Dialog") -> None:
        super().__init__(detail)
        self.dialog = dialog
        """The dialog that asked; blocking code gets `consentful.sync.OutcomeUnknown`, whose dialog blocks."""


class Unauthorised(ConsentfulError):
    """The server does not accept the token. A token callback raises this to stop instead of retrying."""

    code = "unauthenticated"


class Forbidden(ConsentfulError):
    """The token is valid but lacks the scope, or the origin is not allowed."""

    code = "forbidden"


class UnknownCode(ConsentfulError):
    """No dialog has this withdrawal code. Nothing was erased."""

    code = "not_found"


class Refused(ConsentfulError):
    """The server refused for a reason without its own class; `code` is the server's."""

    code = "refused"


class MessageRefused(Refused):
    """The server refused message number `seq`, which was said earlier; the dialog goes on without it.

    `say` does not wait for the server, so the next `say` or `grant` raises this, once for each such message, and does
    nothing else: call it again. The messages after `seq` have moved up by one.
    """

    def __init__(self, detail: str, code: str, seq: int) -> None:
        super().__init__(f"the server refused message {seq} ({detail}), and the dialog goes on without it", code)
        self.seq = seq
