"""What Schemathesis is told of this service, loaded by it in a process of its own.

A schema says which values are well-formed. Some are looked at more closely than a schema can: a cursor must be one
that was given out and takes no offset beside it, a row to go on after must be there, a language must be one to RFC
5646, two spellings of one customer must agree, and so must the bot in all messages of a dialog, a time must exist in
every time zone, an entity tag has its quotes, and a number in JSON must be written as a whole one (JSON Schema takes
5.0 for an integer). And an id that was erased is gone, a key of idempotency that was used is taken, and an annotation
may not be what `If-Match` demands, however well-formed they are.
"""

from typing import Any

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import positive_data_acceptance  # pyright: ignore[reportUnknownVariableType]

LOOKED_AT_CLOSELY = {
    "If-Match",
    "after",
    "bot",
    "cursor",
    "offset",
    "language",
    "customer_id",
    "limit",
    "messages",
    "sentAt",
}
GONE_OR_TAKEN = {410, 412, 422}


def is_still_encoded(case: schemathesis.Case[Any], name: str | None) -> bool:
    """Return whether this id came out of a path as it stood there: a link hands `a%3Ab` on, which is no id."""
    return name == "dialog_id" and "%" in str((case.query or {}).get(name, ""))


@schemathesis.check
def what_fits_the_schema_is_accepted(ctx: CheckContext, response: Response, case: schemathesis.Case[Any]) -> None:
    try:
        positive_data_acceptance(ctx, response, case)
    except Failure:
        problem: Any = response.json()
        name = problem.get("parameter")
        if response.status_code in GONE_OR_TAKEN or name in LOOKED_AT_CLOSELY or is_still_encoded(case, name):
            return
        raise
