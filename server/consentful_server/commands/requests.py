"""`consentful request`: list, show and answer customers' requests (GDPR art. 12, 15, 17, 20)."""

import os
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from ..access_log.chain import OPERATOR
from ..auth.read_scope import EVERYTHING
from ..edges.http.disclosing import RequestOutcome, document, outcome_of
from ..errors import BadSetting, NotFound
from ..privacy.register import EXTENDED_DAYS, LONGEST_EXTENSION, Ruling
from ..privacy.store import (
    Decision,
    Disclosure,
    Extension,
    Ground,
    Kind,
    PrivacyRequest,
    Reference,
    RequestPlace,
    RequestsWanted,
    Status,
)
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, with_service
from .listing import AsJson, in_utc, show, show_json

_COLUMNS = ("id", "kind", "status", "received", "due", "reference", "dialogs", "messages", "requested_by")
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
def receive(
    kind: Kind,
    *,
    reference: Reference | None = None,
    received: datetime | None = None,
    json: AsJson = False,
    place: Where = Place(),
) -> int:
    """Record a request that was received and is carried out later: the time for an answer runs from its receipt.

    Args:
        kind: What is asked for.
        reference: Your own file number, which leads to whoever asked. The request itself names no customer.
        received: When it was received, if not now; UTC unless it has an offset.
    """
    at = in_utc(received)
    recorded = with_service(
        place, lambda service: service.register.receive(kind, by=OPERATOR, scope=EVERYTHING, reference=reference, at=at)
    )
    return _told(recorded, "Received", json=json)


@request.command
def decide(
    request_id: str,
    decision: Decision,
    *,
    extended_for: Extension | None = None,
    refused_for: Ground | None = None,
    days: int = EXTENDED_DAYS,
    json: AsJson = False,
    place: Where = Place(),
) -> int:
    """Decide about an open request: it is answered, extended (once, before it is due), refused or withdrawn.

    Args:
        request_id: The id of the open request.
        decision: What was decided.
        extended_for: Why it is extended (GDPR art. 12(3)).
        refused_for: Why it is refused (GDPR art. 12(2), (5), (6)).
        days: How long it is extended: two months by default.
    """
    if not 1 <= days <= LONGEST_EXTENSION:
        raise BadSetting("days", f"must be 1 to {LONGEST_EXTENSION}")
    decided = Ruling(decision=decision, extended_for=extended_for, refused_for=refused_for, days=days)
    recorded = with_service(
        place, lambda service: service.register.decide(request_id, decided, by=OPERATOR, scope=EVERYTHING)
    )
    return _told(recorded, "Ruling", json=json)


@request.command
def answer(
    output: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    customer: str,
    kind: Disclosure = "access",
    answers: str | None = None,
    place: Where = Place(),
) -> int:
    """Write all stored data of a customer to OUTPUT as JSON, and record the request. `consentful erase` erases them.

    Args:
        output: A new file, which only you can read.
        customer: The customer's id in the chatbot.
        kind: The right that the customer exercises: access (GDPR art. 15) or portability (art. 20).
        answers: The open request that this helps to answer.
    """
    if output.exists():
        raise BadSetting("output", f"must be a new file; {output} exists")

    async def work(service: Service) -> PrivacyRequest:
        if answers is not None:
            await service.register.check_open(answers, kind, EVERYTHING)
        found = await service.privacy_requests.disclose(customer, kind, by=OPERATOR, scope=EVERYTHING, answers=answers)
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


def _told(recorded: PrivacyRequest, title: str, *, json: bool) -> int:
    outcome = outcome_of(recorded)
    if json:
        show_json(outcome)
    else:
        show(OUT, _COLUMNS, [_row(outcome)], title=title)
    return 0


async def _page(
    service: Service, wanted: RequestsWanted, after: RequestPlace | None
) -> tuple[list[PrivacyRequest], RequestPlace | None]:
    return await service.privacy_requests.page(wanted, after, _BLOCK, by=OPERATOR, scope=EVERYTHING)


async def _always() -> None:
    """The operator's right to read does not end meanwhile."""


def _row(outcome: RequestOutcome) -> dict[str, Any]:
    row = msgspec.structs.asdict(outcome)
    return row | {"received": outcome.received_at, "due": outcome.due_at}
