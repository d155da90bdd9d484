"""`consentful request`: list, show and answer customers' requests (GDPR art. 12, 15, 17, 20)."""

import os
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from ..access_log.chain import OPERATOR
from ..auth.read_scope import EVERYTHING
from ..edges.http.disclosing import RequestOutcome, document, outcome_of
from ..errors import BadSetting, NotFound
from ..privacy.store import Disclosure, Kind, PrivacyRequest, RequestPlace, RequestsWanted, Status
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, with_service
from .listing import AsJson, show, show_json

_COLUMNS = ("id", "kind", "status", "received", "due", "dialogs", "messages", "requested_by")
_BLOCK = 1_000

request = App(name="request", help="List, show and answer customers' requests for access, portability and erasure.")


@request.command(name="list")
def list_requests(
    *, status: Status | None = None, kind: Kind | None = None, json: AsJson = False, place: Where = Place()
) -> int:
    """List privacy requests, the first due first.

    Args:
        status: Only requests with this status.
        kind: Only requests of this kind.
    """
    wanted = RequestsWanted(status=status, kind=kind, order="due")

    async def work(service: Service) -> list[PrivacyRequest]:
        found, after = await _page(service, wanted, None)
        while after is not None:
            more, after = await _page(service, wanted, after)
            found += more
        return found

    found = [outcome_of(it) for it in with_service(place, work)]
    if json:
        show_json(found)
    else:
        show(OUT, _COLUMNS, [_row(it) for it in found])
    return 0


@request.command(name="show")
def show_request(request_id: str, *, json: AsJson = False, place: Where = Place()) -> int:
    """Show a privacy request with its outcome, and the signed report of an erasure."""

    async def work(service: Service) -> PrivacyRequest | None:
        try:
            return await service.privacy_requests.request(request_id, by=OPERATOR, scope=EVERYTHING)
        except NotFound:
            return None

    found = with_service(place, work)
    if found is None:
        ERR.print("No request has this id; `consentful request list` shows all requests.")
        return 1
    outcome = outcome_of(found)
    if json:
        show_json(outcome)
        return 0
    show(OUT, _COLUMNS, [_row(outcome)])
    if outcome.report is not None:
        OUT.print("Signed report:", outcome.report, markup=False, soft_wrap=True)
    return 0


@request.command
def answer(
    output: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    customer: str,
    kind: Disclosure = "access",
    place: Where = Place(),
) -> int:
    """Write all stored data of a customer to OUTPUT as JSON, and record the request. `consentful erase` erases them.

    Args:
        output: A new file, which only you can read.
        customer: The customer's id in the chatbot.
        kind: The right that the customer exercises: access (GDPR art. 15) or portability (art. 20).
    """
    if output.exists():
        raise BadSetting("output", f"must be a new file; {output} exists")

    async def work(service: Service) -> PrivacyRequest:
        found = await service.privacy_requests.disclose(customer, kind, by=OPERATOR, scope=EVERYTHING)
        with output.open("xb") as file:
            async with aclosing(document(service.privacy_requests, customer, found, _always)) as parts:
                async for part in parts:
                    file.write(part)
            file.flush()
            os.fsync(file.fileno())
        await found.finish()
        return found.outcome

    done = with_service(place, work)
    show(OUT, _COLUMNS, [_row(outcome_of(done))], title="Answered")
    if done.damaged:
        ERR.print("Left out, because they are damaged:", *done.damaged, markup=False, soft_wrap=True)
    return 1 if done.damaged else 0


async def _page(
    service: Service, wanted: RequestsWanted, after: RequestPlace | None
) -> tuple[list[PrivacyRequest], RequestPlace | None]:
    return await service.privacy_requests.page(wanted, after, _BLOCK, by=OPERATOR, scope=EVERYTHING)


async def _always() -> None:
    """The operator's right to read does not end meanwhile."""


def _row(outcome: RequestOutcome) -> dict[str, Any]:
    row = msgspec.structs.asdict(outcome)
    return row | {"received": outcome.received_at, "due": outcome.due_at}
