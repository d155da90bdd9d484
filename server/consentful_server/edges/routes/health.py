"""`/healthz` and `/readyz`: liveness and readiness, for load balancers and orchestrators."""

from typing import Final, Literal

import msgspec
from aiohttp import web

from ... import errors
from ...errors import Refusal
from ...operations.housekeeping import Housekeeping
from ..http import tags
from ..http.bodies import JSON
from ..http.pipeline import id_of, json
from ..http.problems import problem
from ..http.route import Answer, Route

HOUSEKEEPING: Final = web.AppKey("housekeeping", Housekeeping)


class Health(msgspec.Struct, frozen=True):
    """The state of the process. `retention` is `halted` while the clock is not trusted: nothing is purged then."""

    status: Literal["ok", "ready"]
    retention: Literal["running", "halted"] | msgspec.UnsetType = msgspec.UNSET


async def healthz(_request: web.Request) -> web.StreamResponse:
    """Report that the process is alive."""
    return json(Health("ok"))


async def readyz(request: web.Request) -> web.StreamResponse:
    """Report whether the service accepts new dialogs: no worker is shutting down, and each can write to the store."""
    housekeeping = request.app[HOUSEKEEPING]
    try:
        await housekeeping.readiness.check()
    except Refusal as refusal:
        return problem(refusal, id_of(request))  # not raised: the metrics count refusals of clients, not of probes
    return json(Health("ready", "running" if housekeeping.purges else "halted"))


ROUTES: Final = (
    Route("GET", "/healthz", healthz, answers=(Answer({JSON: Health}),), tag=tags.PAGES, operation="pages_healthz"),
    Route(
        "GET",
        "/readyz",
        readyz,
        answers=(Answer({JSON: Health}),),
        refusals=(errors.Overloaded, errors.ChoresFailing, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PAGES,
        operation="pages_readyz",
    ),
)
