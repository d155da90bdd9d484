"""`/v1/withdrawals`: a customer takes a consent back with the code that they were given."""

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from ... import errors
from ..http import bodies, parameters, pipeline, tags
from ..http.addresses import client_address
from ..http.bodies import JSON
from ..http.erasure import ERASED, WRITING, erased
from ..http.pipeline import SERVICE
from ..http.route import Route


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's code, as `stored` carried it. Spaces, hyphens and case do not matter."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]

    def __repr__(self) -> str:
        return "Withdrawal(…)"


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Take a consent back (GDPR art. 7(3)): whoever has the code may. A used code answers the same, a wrong one 404."""
    request.app[SERVICE].withdrawal_attempts.admit(client_address(request))
    given = parameters.convert(await bodies.object_of(request, bodies.CODE_BYTES), Withdrawal, spelt=())
    return erased(await request.app[SERVICE].archive.withdraw(given.code, pipeline.by_customer(request)))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/withdrawals",
        withdraw,
        body={JSON: Withdrawal},
        answers=ERASED,
        refusals=(*WRITING, errors.TooOften),
        tag=tags.WITHDRAWAL,
        operation="rest_withdraw",
    ),
)
