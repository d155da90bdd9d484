"""What every refusal is: an exception with a stable code and a sentence that says what to do next."""

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
