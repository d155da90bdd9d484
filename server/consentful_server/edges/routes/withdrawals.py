"""`/v1/withdrawals`: a customer withdraws a consent with a withdrawal code (GDPR art. 7(3))."""

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from consentful import withdrawal_code

from ... import errors
from ..http import bodies, parameters, pipeline, tags
from ..http.bodies import JSON
from ..http.erasure import ERASED, ERASURE_REFUSALS, erased
from ..http.pipeline import SERVICE, client_address
from ..http.route import Route


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A withdrawal code, as in `stored`. It is read as people type it: case, spaces and hyphens do not matter."""

    code: Annotated[str, Meta(min_length=1, max_length=withdrawal_code.LONGEST)]

    def __repr__(self) -> str:
        return "Withdrawal(…)"


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Withdraw a consent (GDPR art. 7(3)). The code is the only credential.

    A code that was used before returns the same outcome; an unknown code is a 404.
    """
    request.app[SERVICE].withdrawal_attempts.admit(client_address(request))
    given = parameters.convert(await bodies.object_of(request, bodies.CODE_BYTES), Withdrawal, numbers_as_text=())
    return erased(await request.app[SERVICE].archive.withdraw(given.code, pipeline.by_customer(request)))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/withdrawals",
        withdraw,
        body={JSON: Withdrawal},
        answers=ERASED,
        refusals=(*ERASURE_REFUSALS, errors.TooOften),
        tag=tags.WITHDRAWAL,
        operation="rest_withdraw",
    ),
)
