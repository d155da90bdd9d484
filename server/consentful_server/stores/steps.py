"""The steps that bring a store to this program's schema, whichever kind of store it is.

An older schema: `serve` and `migrate` apply what is pending, and every other command refuses, because an earlier
release may be serving from the store. A newer schema is refused: what a later release wrote is not this program's to
judge.
"""

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..errors import BadDatabase

_log: Final = logging.getLogger("consentful.store")


class Step(NamedTuple):
    """One migration of the schema."""

    number: int
    name: str


def refuse_newer(schema: int, newest: int) -> None:
    """Check that the store's schema is not newer than the newest that this program knows.

    Raises:
        BadDatabase: If it is; nothing was changed.
    """
    if schema > newest:
        raise BadDatabase(
            f"the database has schema {schema}, but this program supports {newest}; "
            "install the version of consentful that wrote it, or a later one"
        )


def refuse_pending(steps: Sequence[Step], name: str) -> None:
    """Check that no step is pending, for a command that is not meant to change the schema.

    Raises:
        BadDatabase: If one is; nothing was changed.
    """
    if steps:
        raise BadDatabase(
            f"{name} has schema {steps[0].number - 1}, and this program needs {steps[-1].number}: stop the server, back"
            " up with the version that runs now, and run `consentful migrate`; nothing was changed"
        )


def log_applied(steps: Sequence[Step]) -> None:
    """Log that a store was migrated, unless it was created."""
    if steps and steps[0].number > 1:
        _log.warning(
            "migrated the database; earlier versions cannot open it any more",
            extra={"from": steps[0].number - 1, "to": steps[-1].number},
        )
