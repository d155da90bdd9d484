"""Requests that are carried out later: when they are due, and what an officer may decide about them (GDPR art. 12)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.clock import from_micros
from consentful_server.errors import BadRequest, NotOpen
from consentful_server.privacy.register import Ruling, on_decision
from consentful_server.privacy.store import PrivacyRequest
from consentful_server.testing import FakeClock, Served
from kept import get, keep

PATH = "/v1/privacy-requests"
DAY = 86_400_000_000
OPEN = PrivacyRequest(
    id="r-1",
    kind="access",
    status="open",
    requested_by="officer",
    received_at=0,
    due_at=28 * DAY,
    dialogs=0,
    messages=0,
)


def after(**changes: Any) -> dict[str, Any]:
    return {"status": "open", "due_at": 28 * DAY, "extended_for": None, "refused_for": None} | changes


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        ({"decision": "answer"}, after(status="answered")),
        ({"decision": "withdraw"}, after(status="withdrawn")),
        ({"decision": "refuse", "refused_for": "unfounded"}, after(status="refused", refused_for="unfounded")),
        ({"decision": "refuse", "refused_for": "identity"}, after(status="refused", refused_for="identity")),
        ({"decision": "extend", "extended_for": "number"}, after(due_at=84 * DAY, extended_for="number")),
        (
            {"decision": "extend", "extended_for": "complexity", "days": 45},
            after(due_at=73 * DAY, extended_for="complexity"),
        ),
    ],
)
def test_art_12_what_may_be_decided_about_an_open_request(decided: dict[str, Any], expected: dict[str, Any]) -> None:
    request = on_decision(OPEN, Ruling(**decided), now=DAY)

    assert {name: getattr(request, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("decided", "names"),
    [
        ({"decision": "refuse"}, "refused_for"),
        ({"decision": "extend"}, "extended_for"),
        ({"decision": "answer", "refused_for": "excessive"}, "refused_for"),
        ({"decision": "refuse", "refused_for": "identity", "extended_for": "number"}, "extended_for"),
    ],
)
def test_a_decision_has_its_own_ground_and_no_other(decided: dict[str, Any], names: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        on_decision(OPEN, Ruling(**decided), now=DAY)

    assert refusal.value.parameter == names


@given(st.integers(0, 100 * DAY), st.integers(1, 90))
def test_art_12_3_a_request_is_extended_once_and_only_before_it_is_due(now: int, days: int) -> None:
    extend = Ruling(decision="extend", extended_for="complexity", days=days)
    if now >= OPEN.due_at:
        with pytest.raises(BadRequest, match="overdue"):
            on_decision(OPEN, extend, now)
        return

    extended = on_decision(OPEN, extend, now)

    assert from_micros(extended.due_at) - from_micros(OPEN.due_at) == timedelta(days=days)
    with pytest.raises(BadRequest, match="once"):
        on_decision(extended, extend, now)


@pytest.mark.parametrize("decision", ["answer", "extend", "refuse", "withdraw"])
@pytest.mark.parametrize("status", ["answered", "refused", "withdrawn", "pending", "complete"])
def test_what_is_not_open_is_not_decided_again(decision: Any, status: Any) -> None:
    with pytest.raises(NotOpen, match=status):
        on_decision(msgspec.structs.replace(OPEN, status=status), Ruling(decision=decision), now=0)


async def post(http: ClientSession, path: str, status: int, **body: Any) -> Any:
    async with http.post(path, json=body) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_a_request_is_due_from_its_receipt_on_in_whatever_zone_that_was_written(
    http: ClientSession, clock: FakeClock
) -> None:
    received = (clock.now() - timedelta(days=11)).astimezone(UTC)
    auckland = (received + timedelta(hours=13)).replace(tzinfo=None).isoformat() + "+13:00"

    recorded = await post(http, f"{PATH}/register", 201, kind="access", reference="2026/117", received_at=auckland)

    assert datetime.fromisoformat(recorded["due_at"]) == received + timedelta(days=28)
    assert await get(http, f"{PATH}/{recorded['id']}") == recorded
    assert [it["id"] for it in (await get(http, PATH, status="open"))["items"]] == [recorded["id"]]


@pytest.mark.parametrize("days", [-1, 400])
async def test_a_time_of_receipt_that_cannot_be_is_refused(http: ClientSession, clock: FakeClock, days: int) -> None:
    at = (clock.now() - timedelta(days=days)).isoformat()

    problem = await post(http, f"{PATH}/register", 400, kind="access", received_at=at)

    assert problem["parameter"] == "received_at"


@pytest.mark.parametrize("reference", ["jane doe", "jane@doe.example", "", "x" * 65])
async def test_a_reference_is_a_file_number_and_no_name(http: ClientSession, reference: str) -> None:
    assert (await post(http, f"{PATH}/register", 400, kind="access", reference=reference))["parameter"] == "reference"


async def test_a_person_with_several_ids_has_one_open_request_that_each_erasure_answers(
    http: ClientSession, service: Served
) -> None:
    for number in (1, 2):
        await keep(service.service, f"d-{number}", customer_id=f"c-{number}")
    recorded = (await post(http, f"{PATH}/register", 201, kind="erasure"))["id"]

    done = [
        await post(http, PATH, 201, kind="erasure", customer_id=f"c-{number}", answers=recorded) for number in (1, 2)
    ]
    answered = await post(http, f"{PATH}/{recorded}/decisions", 200, decision="answer")

    assert [(it["dialogs"], it["answers"]) for it in done] == [(1, recorded)] * 2
    assert answered["status"] == "answered"
    assert (await get(http, PATH, status="open"))["items"] == []


async def test_only_an_open_request_of_the_same_kind_can_be_answered(http: ClientSession, service: Served) -> None:
    await keep(service.service, "d-1")
    recorded = (await post(http, f"{PATH}/register", 201, kind="access"))["id"]

    for answers in ("nothing", recorded):
        problem = await post(http, PATH, 400, kind="erasure", customer_id="c-1", answers=answers)
        assert problem["parameter"] == "answers"
    await post(http, f"{PATH}/{recorded}/decisions", 200, decision="withdraw")
    problem = await post(http, PATH, 400, kind="access", customer_id="c-1", answers=recorded)

    assert problem["parameter"] == "answers"
    assert (await post(http, "/v1/customers/search", 200, customer_id="c-1"))["dialogs"] == 1


async def test_of_two_officers_who_decide_at_the_same_time_one_is_told_that_it_is_decided(http: ClientSession) -> None:
    recorded = (await post(http, f"{PATH}/register", 201, kind="access"))["id"]

    async def decide(**body: Any) -> tuple[int, Any]:
        async with http.post(f"{PATH}/{recorded}/decisions", json=body) as response:
            return response.status, await response.json()

    told = await asyncio.gather(decide(decision="withdraw"), decide(decision="refuse", refused_for="excessive"))

    assert sorted(status for status, _ in told) == [200, 409]
    (won,) = [body for status, body in told if status == 200]
    assert (await get(http, f"{PATH}/{recorded}"))["status"] == won["status"]
    (lost,) = [body for status, body in told if status == 409]
    assert lost["code"] == "not_open"


async def test_what_was_received_and_decided_is_in_the_access_log(http: ClientSession) -> None:
    recorded = (await post(http, f"{PATH}/register", 201, kind="access"))["id"]
    await post(http, f"{PATH}/{recorded}/decisions", 200, decision="answer")

    entries = (await get(http, "/v1/access-log"))["items"][:2]

    assert [(it["action"], it["subject"]) for it in entries] == [
        ("request.decided", recorded),
        ("request.received", recorded),
    ]
