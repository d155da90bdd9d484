"""Every refusal, with its stable code and a sentence that says what to do next.

    Refusal
    ├── the dialog stays open
    │   ├── OutOfOrder        order         the frame is not allowed in the dialog's state
    │   ├── Gap               gap           a message number was skipped
    │   ├── OverLimit         limit         the message, or the dialog with it, exceeds a limit
    │   ├── Incomplete        incomplete    `last_seq` is not the number of messages held
    │   ├── Empty             empty         consent to a dialog without messages
    │   ├── UnknownNotice     notice        consent to a notice that was not offered
    │   ├── UnknownPurpose    purposes      consent to a purpose that the notice does not name
    │   └── StorageFailed     storage       the transaction was rolled back
    ├── the dialog is closed
    │   ├── Conflict          conflict      the id belongs to another dialog, or to another customer's
    │   ├── Erased            erased        the id was erased and cannot be reused
    │   ├── OutcomeUnknown    unknown       the result of the commit is not known yet
    │   ├── TokenExpired      token_expired the token expired before the customer granted consent
    │   └── Overloaded        overloaded    no capacity; retry later
    │       ├── TooOften      too_often     the client exceeded its rate limit; retry later
    │       ├── ProviderDown  provider      the identity provider does not respond; retry later
    │       └── ChoresFailing chores        background work keeps failing; the server is not ready
    ├── of a request
    │   ├── Lost              lost          a dialog of the original contract lost messages
    │   ├── Unauthenticated   unauthenticated
    │   ├── Forbidden         forbidden
    │   ├── BadRequest        bad_request   names the parameter
    │   ├── KeyReused         idempotency_key   the Idempotency-Key was used with another body
    │   ├── KeyInUse          in_progress   a request with this Idempotency-Key is being executed
    │   ├── NotOpen           not_open      the privacy request was answered, refused or withdrawn
    │   ├── NotFound          not_found
    │   ├── Stale             stale         the resource is not as the request demands it (If-Match, If-None-Match)
    │   ├── Restored          restored      the cursor is from before a restore; start again without it
    │   ├── NotAcceptable     not_acceptable         the format is not available
    │   ├── WrongMediaType    unsupported_media_type the route does not read this type of body
    │   ├── Damaged           damaged       a stored dialog fails its integrity check
    │   └── Unsupported       unsupported   not available in this configuration
    └── of a start or a command
        ├── BadSetting        setting       a setting is invalid
        ├── BadKeys           keys          the root keys are missing, exposed or of another database
        ├── BadDatabase       database      the schema is too new, or this SQLite version can corrupt the database
        │   └── Unreachable   unreachable   the database cannot be reached for now
        └── BadBackup         backup        the backup does not exist, or restoring it would overwrite data
            └── BackupRunning backup_running  another process makes a backup of this database now

No refusal carries message text, a customer id or a token. `edges/http/faults.py` maps each code to an HTTP status and a
WebSocket close code.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

Limit: TypeAlias = Literal[
    "max_text_bytes",
    "max_dialog_bytes",
    "max_messages",
    "memory",
    "dialogs_per_client",
    "streams_per_client",
    "opens_per_second",
    "frames_per_second",
    "bytes_per_second",
    "streams",
    "pings",
    "withdrawals",
]
"""What a request ran into: the name of a setting, or of a fixed limit."""

Denial: TypeAlias = Literal[
    "missing",
    "malformed",
    "unknown",
    "revoked",
    "expired",
    "signature",
    "key",
    "claim",
    "scope",
    "purposes",
    "origin",
    "host",
    "provider",
]
"""Why a caller was denied access: for operators, who must be able to tell an attack from a wrong setting."""


class Refusal(Exception):  # noqa: N818 - a refusal is a regular answer, not an internal error
    """The request was refused and had no effect."""

    code: ClassVar[str] = "refused"
    exit_status: ClassVar[int] = 2
    """Of a command that is refused. The same command will be refused again, unless something is changed."""
    limit: Limit | None = None
    """The limit that was hit, if one was."""
    denial: Denial | None = None
    """Why access was denied, if it was."""

    @property
    def detail(self) -> str:
        """The sentence for the client: what is wrong, and what to do next."""
        return str(self)


class OutOfOrder(Refusal):
    """The frame is not allowed in the dialog's state."""

    code = "order"


class Gap(Refusal):
    """A message number was skipped. `expected` is the next number that the server accepts."""

    code = "gap"

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected

    def __str__(self) -> str:
        return f"messages are missing; resend from seq {self.expected}"


class OverLimit(Refusal):
    """The message, or the dialog with it, exceeds a limit. The message's number can be used again."""

    code = "limit"

    def __init__(self, limit: Limit, most: int, expected: int) -> None:
        super().__init__(limit, most, expected)
        self.limit = limit
        self.most = most
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.limit} exceeded (the limit is {self.most}); send a shorter message with the same seq, or decide"


class Incomplete(Refusal):
    """`last_seq`, or `messages`, is not the number of messages that the server holds. Nothing was decided."""

    code = "incomplete"

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"the server holds {self.expected} messages of this dialog, which is not the number in the consent;"
            " send the missing messages, then the consent again"
        )


class Empty(Refusal):
    """The dialog has no messages to consent to."""

    code = "empty"

    def __str__(self) -> str:
        return "the dialog has no messages; send a message first, or decline"


class UnknownNotice(Refusal):
    """The notice was not offered to this dialog."""

    code = "notice"

    def __str__(self) -> str:
        return "unknown notice; send the id of the notice in `opened`, or omit `notice`"


class UnknownPurpose(Refusal):
    """The notice does not name one of the purposes, or no purpose was granted."""

    code = "purposes"

    def __str__(self) -> str:
        return "grant one or more of the notice's purposes and no others, or omit `purposes` to grant all of them"


class StorageFailed(Refusal):
    """The transaction was rolled back and no restart brings it back. A live dialog stays in memory."""

    code = "storage"

    def __str__(self) -> str:
        return "the database write failed and was rolled back; retry the same request or consent"


class Conflict(Refusal):
    """The id belongs to another dialog, or to another customer's.

    With `seq` it is about that message: its number is held with another text, which stays, and the dialog is open.
    """

    code = "conflict"

    def __init__(self, seq: int | None = None) -> None:
        super().__init__(seq)
        self.seq = seq

    def __str__(self) -> str:
        if self.seq is not None:
            return "this seq is held with another text; number messages 1, 2, 3 …, or reconnect and replay the dialog"
        return "another dialog uses this dialog id; use a new id"


class Erased(Refusal):
    """The id was erased or retracted."""

    code = "erased"

    def __init__(self, dialog_id: str, erased_at: datetime) -> None:
        super().__init__(dialog_id, erased_at)
        self.dialog_id = dialog_id
        self.erased_at = erased_at

    def __str__(self) -> str:
        return "this dialog was erased and its id cannot be reused; open a new dialog"


class OutcomeUnknown(Refusal):
    """A disk error left it unknown whether the transaction was committed."""

    code = "unknown"

    def __str__(self) -> str:
        return "it is not known yet whether the transaction was committed; reconnect and replay, or repeat the request"


class Overloaded(Refusal):
    """The process has no capacity for another dialog or another message, or is shutting down."""

    code = "overloaded"

    def __init__(self, retry_after_s: int = 5, *, limit: Limit | None = None) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s
        self.limit = limit

    def __str__(self) -> str:
        return f"the server is at capacity or shutting down; retry in {self.retry_after_s} s"


class TooOften(Overloaded):
    """The client exceeded its rate limit, or its number of live dialogs."""

    code = "too_often"

    def __str__(self) -> str:
        return f"rate limit exceeded; retry in {self.retry_after_s} s"


class ProviderDown(Overloaded):
    """The identity provider's keys cannot be fetched, so no token can be verified."""

    code = "provider"
    denial = "provider"

    def __str__(self) -> str:
        return f"tokens cannot be verified, the identity provider does not respond; retry in {self.retry_after_s} s"


class ChoresFailing(Overloaded):
    """Background work, such as retention or key rotation, has failed for so long that the server is not ready."""

    code = "chores"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(30)
        self.names = tuple(names)

    def __str__(self) -> str:
        return f"background work keeps failing ({', '.join(self.names)}); the server's log says why"


class Unauthenticated(Refusal):
    """The request has no token, or one that is unknown, expired or revoked. `remedy` says which token is wanted."""

    code = "unauthenticated"

    def __init__(
        self,
        remedy: str = "send a valid token as `Authorization: Bearer …`; `consentful keys create` creates one",
        *,
        denial: Denial = "unknown",
    ) -> None:
        super().__init__(remedy)
        self.remedy = remedy
        self.denial = denial

    def __str__(self) -> str:
        return self.remedy


class TokenExpired(Refusal):
    """The token of a live dialog expired, or was revoked, before the customer granted consent. Nothing was stored."""

    code = "token_expired"
    denial = "expired"

    def __str__(self) -> str:
        return "the token has expired and nothing was stored; reconnect with a new token and replay the dialog"


class Forbidden(Refusal):
    """The token is valid, but the request needs more: a scope, or an allowed origin or host."""

    code = "forbidden"

    def __init__(self, needed: str, *, scope: str | None = None, denial: Denial = "scope") -> None:
        super().__init__(needed)
        self.needed = needed
        self.scope = scope
        """A scope with which the token would be accepted; None if no scope helps."""
        self.denial = denial

    def __str__(self) -> str:
        return f"access denied; this requires {self.needed}"


class BadRequest(Refusal):
    """A parameter or a body is unknown or malformed."""

    code = "bad_request"

    def __init__(self, parameter: str, expectation: str) -> None:
        super().__init__(parameter, expectation)
        self.parameter = parameter
        self.expectation = expectation

    def __str__(self) -> str:
        return f"{self.parameter}: {self.expectation}"


class Lost(Refusal):
    """A dialog of the original contract lost messages, so it cannot be stored. `why` is a code, `dropped` all of it."""

    code = "lost"

    def __init__(self, why: str, *, dropped: bool) -> None:
        super().__init__(why, dropped)
        self.why = why
        self.dropped = dropped

    def __str__(self) -> str:
        if self.dropped:
            return (
                f"the messages of this dialog were dropped ({self.why}), so it cannot be continued or stored;"
                " send the consent `false` to end it and begin it again, or use a new dialog id"
            )
        return (
            f"a message of this dialog was refused ({self.why}) and is not held, so the dialog cannot be stored;"
            " push that message again, or send the consent with `messages`, the number of messages that the dialog has"
        )


class KeyReused(Refusal):
    """The Idempotency-Key was used with another body, in the last 24 hours. Nothing was done."""

    code = "idempotency_key"

    def __str__(self) -> str:
        return (
            "this Idempotency-Key was used with another body, and nothing was done; send a new key with a new request"
        )


class KeyInUse(Refusal):
    """A request with this Idempotency-Key is being executed."""

    code = "in_progress"
    retry_after_s = 2

    def __str__(self) -> str:
        return "a request with this Idempotency-Key is being executed; repeat it in a few seconds to get its outcome"


class NotOpen(Refusal):
    """The privacy request is not open. `status` is its status."""

    code = "not_open"

    def __init__(self, status: str = "answered") -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"the request is not open (it is {self.status}); record a new one"


class NotFound(Refusal):
    """The resource does not exist, or is not accessible to the caller; the answer is the same."""

    code = "not_found"

    def __str__(self) -> str:
        return "resource not found, or not accessible to you; check the id"


class Stale(Refusal):
    """The resource is not as `If-Match` or `If-None-Match` demands it (RFC 9110 §13.1). Nothing was changed."""

    code = "stale"

    def __str__(self) -> str:
        return (
            "it was changed, added or deleted since you read it; read it again, then send the change with its new ETag"
        )


class Restored(Refusal):
    """The store was restored from a backup after the cursor was given out."""

    code = "restored"

    def __str__(self) -> str:
        return (
            "the data was restored from a backup since this cursor was given out: some of what you read may be lost;"
            " delete your copy, and start again without a cursor"
        )


class NotAcceptable(Refusal):
    """None of the requested formats is available. The sentence lists those that are, and how to get the others."""

    code = "not_acceptable"

    def __init__(self, offered: str, others: str = "") -> None:
        super().__init__(offered, others)
        self.offered = offered
        self.others = others

    def __str__(self) -> str:
        others = f"; {self.others}" if self.others else ""
        return f"the requested format is not available; request one of: {self.offered}{others}"


class WrongMediaType(Refusal):
    """The route does not read bodies of this media type. The sentence lists those that it does."""

    code = "unsupported_media_type"

    def __init__(self, read: str) -> None:
        super().__init__(read)
        self.read = read

    def __str__(self) -> str:
        return f"unsupported media type; send the body as one of: {self.read}"


class Damaged(Refusal):
    """A stored dialog fails its integrity check: its row was altered, or its master key is missing."""

    code = "damaged"

    def __init__(self, dialog_id: str) -> None:
        super().__init__(dialog_id)
        self.dialog_id = dialog_id

    def __str__(self) -> str:
        return (
            f"dialog {self.dialog_id} fails its integrity check: its row was altered, or its master key is missing;"
            " restore it from a backup, or erase it"
        )


class Unsupported(Refusal):
    """The operation is not available in this server's configuration."""

    code = "unsupported"


class BadSetting(Refusal):
    """A setting is invalid; the server does not start."""

    code = "setting"

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(name, remedy)
        self.name = name
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.remedy}"


class BadKeys(Refusal):
    """The root keys are missing, readable by others, or belong to another database. Nothing was overwritten."""

    code = "keys"


class BadDatabase(Refusal):
    """The database's schema is newer than this program, or this SQLite version can corrupt the database."""

    code = "database"


class Unreachable(BadDatabase):
    """The database does not let this program in for now; the same start may succeed later."""

    code = "unreachable"
    exit_status = os.EX_TEMPFAIL


class BadBackup(Refusal):
    """The backup does not exist, or restoring it would overwrite existing data."""

    code = "backup"


class BackupRunning(BadBackup):
    """Another process makes a backup of this database now; the same command may succeed later."""

    code = "backup_running"
    exit_status = os.EX_TEMPFAIL

    def __str__(self) -> str:
        return "another process makes a backup of this database now; when it has ended, run the backup again"
