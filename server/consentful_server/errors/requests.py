"""Refusals of a request over HTTP."""

from .refusal import Refusal


class BadRequest(Refusal):
    """A parameter or a body is unknown or malformed."""

    code = "bad_request"

    def __init__(self, parameter: str, expectation: str) -> None:
        super().__init__(parameter, expectation)
        self.parameter = parameter
        self.expectation = expectation

    def __str__(self) -> str:
        return f"{self.parameter}: {self.expectation}"


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


class Unsupported(Refusal):
    """The operation is not available in this server's configuration."""

    code = "unsupported"
