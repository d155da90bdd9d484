"""Refusals of a dialog, live or stored: of its frames, its consent and its id."""

from datetime import datetime

from .refusal import Limit, Refusal


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
