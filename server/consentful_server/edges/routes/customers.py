"""`/v1/customers/search`: is anything stored of somebody (GDPR art. 15(1), first half)."""

from typing import Final

import msgspec
from aiohttp import web

from consentful import wire

from ... import errors
from ...errors import BadRequest
from ...privacy.holdings import Holdings, held_of
from ..http import bodies, list_query, parameters, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route


class CustomerSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to look for: the customer's id in the chatbot, or the pseudonym. It comes in the body: URLs are logged."""

    customer_id: wire.CustomerId | None = None
    customer: list_query.Pseudonym | None = None

    def __repr__(self) -> str:
        return "CustomerSearch(…)"


async def search(request: web.Request) -> web.StreamResponse:
    """Return how much is stored of a customer, and which dialogs: what an erasure would erase.

    A customer of whom nothing is stored is not an error: `dialogs` is 0. With a key that is bound to purposes, only
    dialogs that were granted for one of them count.
    """
    parameters.refuse_in_url(request)
    query = parameters.convert(await bodies.object_of(request), CustomerSearch, numbers_as_text=())
    if (query.customer_id is None) == (query.customer is None):
        raise BadRequest("customer_id", "send either `customer_id` or `customer`")
    service = request.app[SERVICE]
    customer = query.customer or service.archive.pseudonym(query.customer_id or "")
    scope = request[PRINCIPAL].read_scope
    return json(await held_of(customer, service.store.dialogs, service.access_log, scope))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/customers/search",
        search,
        scopes=("privacy",),
        body={bodies.JSON: CustomerSearch},
        answers=(Answer({bodies.JSON: Holdings}),),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PRIVACY,
        operation="officer_customer",
    ),
)
