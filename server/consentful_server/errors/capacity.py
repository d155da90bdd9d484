"""Refusals for now: the same request may succeed later."""

from collections.abc import Sequence

from .refusal import Limit, Refusal


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
