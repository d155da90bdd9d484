"""What every store promises of privacy requests."""

from typing import Any

import msgspec
import pytest

from consentful_server.privacy.store import PrivacyRequest, RequestPlace, RequestsWanted
from consentful_server.stores.store import Store
from jotting import Jotting


async def test_pending_requests_are_listed_by_due_date_until_they_are_settled(store: Store) -> None:
    for name, due in (("late", 20), ("soon", 10), ("done", 5)):
        request = PrivacyRequest(
            id=name,
            kind="erasure",
            status="complete" if name == "done" else "pending",
            requested_by="officer",
            received_at=1,
            due_at=due,
            dialogs=1,
            messages=2,
        )
        await store.requests.add(request)

    assert [request.id for request in await store.requests.pending()] == ["soon", "late"]
    await store.requests.settle("soon", "unreadable", "a report")
    assert [request.id for request in await store.requests.pending()] == ["late"]
    settled = await store.requests.find("soon")
    assert settled is not None
    assert (settled.status, settled.report) == ("unreadable", "a report")


async def test_a_request_knows_which_dialogs_were_erased_for_it(store: Store) -> None:
    request = PrivacyRequest(
        id="r-1",
        kind="erasure",
        status="pending",
        requested_by="officer",
        received_at=1,
        due_at=2,
        dialogs=2,
        messages=3,
    )

    await store.requests.add(request, ["d-2", "d-1"])

    assert await store.requests.erased_for("r-1") == ["d-1", "d-2"]
    assert await store.requests.erased_for("r-9") == []


def _request(name: str, **fields: Any) -> PrivacyRequest:
    given: dict[str, Any] = {
        "id": name,
        "kind": "erasure",
        "status": "complete",
        "requested_by": "officer",
        "received_at": 1,
        "due_at": 10,
        "dialogs": 1,
        "messages": 2,
    }
    return PrivacyRequest(**given | fields)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["r-4", "r-3", "r-2", "r-1"]),
        ({"order": "due"}, ["r-2", "r-3", "r-4", "r-1"]),
        ({"status": "pending"}, ["r-3", "r-1"]),
        ({"status": "pending", "order": "due"}, ["r-3", "r-1"]),
        ({"kind": "access"}, ["r-4"]),
        ({"due_before": 20}, ["r-3", "r-2"]),
        ({"kind": "access", "status": "pending"}, []),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_requests_are_listed_in_pages_by_id_or_by_due_date_without_reports(
    store: Store, wanted: dict[str, Any], expected: list[str], limit: int
) -> None:
    for request in (
        _request("r-1", status="pending", due_at=30),
        _request("r-2", due_at=10),
        _request("r-3", status="pending", due_at=10, report="long"),
        _request("r-4", kind="access", status="incomplete", due_at=20, purposes=("research",), damaged=("d-1",)),
    ):
        await store.requests.add(request)

    found: list[PrivacyRequest] = []
    after: RequestPlace | None = None
    while page := await store.requests.page(RequestsWanted(**wanted), after, limit):
        assert len(page) <= limit
        found += page
        after = RequestPlace(page[-1].due_at, page[-1].id)

    assert [request.id for request in found] == expected
    assert [request.report for request in found] == [None] * len(found)


async def test_an_open_request_is_decided_once_and_waits_with_the_pending_ones_until_then(store: Store) -> None:
    request = _request("r-1", status="open", due_at=30, reference="2026/117")
    await store.requests.add(request)
    extended = msgspec.structs.replace(request, due_at=60, extended_for="complexity")
    refused = msgspec.structs.replace(extended, status="refused", refused_for="identity")
    before = (await store.access_log.head()).number

    assert [it.id for it in await store.requests.pending()] == ["r-1"]
    assert await store.requests.decide(extended, Jotting(action="request.decided"))
    assert await store.requests.find("r-1") == extended
    assert await store.requests.decide(refused, Jotting(action="request.decided"))
    assert await store.requests.find("r-1") == refused
    assert not await store.requests.decide(extended, Jotting(action="request.decided"))
    assert await store.requests.find("r-1") == refused
    assert await store.requests.pending() == []
    assert (await store.access_log.head()).number == before + 2
