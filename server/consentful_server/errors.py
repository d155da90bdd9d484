"""Every deliberate refusal, with its stable code and a sentence that says what to do next.

    Refusal
    ├── the dialog goes on
    │   ├── OutOfOrder        order         a frame that does not fit the dialog's state
    │   ├── Gap               gap           a message number was left out
    │   ├── OverLimit         limit         a message, or the dialog, would be too large
    │   ├── Incomplete        incomplete    consent to more, or fewer, messages than are held
    │   ├── Empty             empty         consent to a dialog without messages
    │   ├── UnknownNotice     notice        consent to a wording that was not on offer
    │   ├── UnknownPurpose    purposes      consent to a purpose that the notice does not name
    │   └── StorageFailed     storage       not stored, and known not to be
    ├── the dialog ends
    │   ├── Conflict          conflict      the id holds another dialog, or another customer's
    │   ├── Erased            erased        the id was erased and cannot come back
    │   ├── OutcomeUnknown    unknown       nobody can tell yet whether it was stored
    │   ├── TokenExpired      token_expired the token ended before the customer said yes
    │   └── Overloaded        overloaded    no room; come back later
    │       ├── TooOften      too_often     more than this client's share; come back later
    │       ├── ProviderDown  provider      the identity provider does not answer; come back later
    │       └── ChoresFailing chores        background work has failed for long; come back later
    ├── of a request
    │   ├── Unauthenticated   unauthenticated
    │   ├── Forbidden         forbidden
    │   ├── BadRequest        bad_request   names the parameter
    │   ├── NotFound          not_found
    │   ├── NotAcceptable     not_acceptable         no such format
    │   ├── WrongMediaType    unsupported_media_type no such body
    │   ├── Damaged           damaged       what is stored does not fit its seal
    │   └── Unsupported       unsupported   this server, as configured, does not do that
    └── of the start
        ├── BadSetting        setting       a setting that cannot be
        ├── BadKeys           keys          the keys are missing, exposed or another database's
        ├── BadDatabase       database      too new a schema, or an SQLite that corrupts
        └── BadBackup         backup        none of this name, or something would be overwritten

None carries message text, a customer id or a token. `edges/faults.py` maps them to HTTP statuses and close codes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an accident
    """Something that was asked for and is not done; it left no trace."""

    code: ClassVar[str] = "refused"

    @property
    def detail(self) -> str:
        """What to do next, in a sentence."""
        return str(self)


class OutOfOrder(Refusal):
    """A frame that does not fit the dialog's state."""

    code = "order"


class Gap(Refusal):
    """A message number was left out."""

    code = "gap"

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected

    def __str__(self) -> str:
        return f"a message is missing; send again from seq {self.expected}"


class OverLimit(Refusal):
    """A message, or the dialog, would be too large; the number may be used again."""

    code = "limit"

    def __init__(self, limit: str, most: int, expected: int) -> None:
        super().__init__(limit, most, expected)
        self.limit = limit
        self.most = most
        self.expected = expected

    def __str__(self) -> str:
        return f"over {self.limit} ({self.most}); send something shorter under the same seq, or decide"


class Incomplete(Refusal):
    """`last_seq` is not the number of messages that are held; nothing is decided."""

    code = "incomplete"

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.expected} messages are held; send what is missing and the consent again"


class Empty(Refusal):
    """There is nothing to consent to."""

    code = "empty"

    def __str__(self) -> str:
        return "the dialog has no messages; say something first, or decline"


class UnknownNotice(Refusal):
    """The notice was not on offer."""

    code = "notice"

    def __str__(self) -> str:
        return "no such notice; name the one in `opened`, or leave `notice` out"


class UnknownPurpose(Refusal):
    """The notice does not name one of the purposes, or none was granted."""

    code = "purposes"

    def __str__(self) -> str:
        return "grant at least one of the notice's purposes and no other, or leave `purposes` out for all of them"


class StorageFailed(Refusal):
    """The transaction was rolled back and cannot come back; the dialog is still in memory."""

    code = "storage"

    def __str__(self) -> str:
        return "the store could not write; nothing was stored; send the same consent again"


class Conflict(Refusal):
    """The id holds another dialog, or another customer's."""

    code = "conflict"

    def __str__(self) -> str:
        return "this dialog id is taken by another dialog; use a new one"


class Erased(Refusal):
    """The id was erased or retracted."""

    code = "erased"

    def __init__(self, dialog_id: str, erased_at: datetime) -> None:
        super().__init__(dialog_id, erased_at)
        self.dialog_id = dialog_id
        self.erased_at = erased_at

    def __str__(self) -> str:
        return "this dialog was erased, and its id cannot be used again"


class OutcomeUnknown(Refusal):
    """The disk failed at a moment that leaves the outcome open."""

    code = "unknown"

    def __str__(self) -> str:
        return "it is not known yet whether the dialog was stored; connect again and replay it"


class Overloaded(Refusal):
    """There is no room for another dialog, or another message, in this process."""

    code = "overloaded"

    def __init__(self, retry_after_s: int = 5) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"this server is full or stopping; try again in {self.retry_after_s} s"


class TooOften(Overloaded):
    """The client asks for more than its share."""

    code = "too_often"

    def __str__(self) -> str:
        return f"too many of these in a short time; try again in {self.retry_after_s} s"


class ProviderDown(Overloaded):
    """No token can be checked, because the identity provider does not tell its keys."""

    code = "provider"

    def __str__(self) -> str:
        return f"the identity provider does not answer, so no token can be checked; try again in {self.retry_after_s} s"


class ChoresFailing(Overloaded):
    """Background work, such as retention or key rotation, has failed for so long that the server is not ready."""

    code = "chores"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(30)
        self.names = tuple(names)

    def __str__(self) -> str:
        return f"background work keeps failing ({', '.join(self.names)}); the server's log says why"


class Unauthenticated(Refusal):
    """No token, or none that is known, current and unrevoked."""

    code = "unauthenticated"

    def __str__(self) -> str:
        return "send a valid token as `Authorization: Bearer …`; `consentful keys create` makes one"


class TokenExpired(Refusal):
    """The token with which a dialog was opened has ended, or was revoked, before the customer said yes."""

    code = "token_expired"

    def __str__(self) -> str:
        return "the token has ended; connect again with a new one and replay the dialog, nothing of it was stored"


class Forbidden(Refusal):
    """The token is valid and does not suffice."""

    code = "forbidden"

    def __init__(self, needed: str) -> None:
        super().__init__(needed)
        self.needed = needed

    def __str__(self) -> str:
        return f"this needs {self.needed}"


class BadRequest(Refusal):
    """A parameter or a body that is unknown or malformed."""

    code = "bad_request"

    def __init__(self, parameter: str, expectation: str) -> None:
        super().__init__(parameter, expectation)
        self.parameter = parameter
        self.expectation = expectation

    def __str__(self) -> str:
        return f"{self.parameter}: {self.expectation}"


class NotFound(Refusal):
    """There is no such thing, or it is not the caller's: both look the same."""

    code = "not_found"

    def __str__(self) -> str:
        return "nothing is here under this name"


class NotAcceptable(Refusal):
    """None of the formats that were asked for is offered; names those that are."""

    code = "not_acceptable"

    def __init__(self, offered: str) -> None:
        super().__init__(offered)
        self.offered = offered

    def __str__(self) -> str:
        return f"ask for one of: {self.offered}"


class WrongMediaType(Refusal):
    """The body's media type is not one that this route reads; names those that are."""

    code = "unsupported_media_type"

    def __init__(self, read: str) -> None:
        super().__init__(read)
        self.read = read

    def __str__(self) -> str:
        return f"send the body as one of: {self.read}"


class Damaged(Refusal):
    """What is stored of a dialog does not fit its seal, its consent record or its key."""

    code = "damaged"

    def __init__(self, dialog_id: str) -> None:
        super().__init__(dialog_id)
        self.dialog_id = dialog_id

    def __str__(self) -> str:
        return f"dialog {self.dialog_id} was altered in the store or its master key is gone; restore it, or erase it"


class Unsupported(Refusal):
    """The server, as it is configured, does not do that."""

    code = "unsupported"


class BadSetting(Refusal):
    """A setting that cannot be; the server does not start."""

    code = "setting"

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(name, remedy)
        self.name = name
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.remedy}"


class BadKeys(Refusal):
    """The keys are missing, readable by others, or another database's; nothing was overwritten."""

    code = "keys"


class BadDatabase(Refusal):
    """The database's schema is newer than this program, or SQLite is one that can corrupt it."""

    code = "database"


class BadBackup(Refusal):
    """There is no such backup, or something is there that it would overwrite."""

    code = "backup"
