"""What a customer may ask for, named after the article that gives the right."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from consentful.wire import Consent
from consentful_server import testing
from consentful_server.access_log.chain import OPERATOR, Actor
from consentful_server.archive.query import Filter
from consentful_server.archive.store import StoredDialog
from consentful_server.auth.read_scope import ReadScope
from consentful_server.dialogs.dialog import Granted
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.service import Service
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import FakeClock, Served
from receipts import claims_of, verified
from sealed import CATALOGUE, START, spoken


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + timedelta(days=1))


@pytest.fixture
async def served(clock: FakeClock, tmp_path: Path) -> AsyncGenerator[Served]:
    async with testing.serve(clock=clock, folder=tmp_path) as running:
        yield running


@pytest.fixture
async def http(served: Served) -> AsyncGenerator[ClientSession]:
    async with ClientSession(served.url) as session:
        yield session


async def keep(service: Service, dialog_id: str, customer_id: str = "c-1", text: str = "Hi"):
    dialog = spoken(dialog_id, (text, "Hello"), customer_id=customer_id)
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    return await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def ask(http: ClientSession, status: int = 201, headers: dict[str, str] | None = None, **body: Any) -> Any:
    async with http.post("/v1/privacy-requests", json=body, headers=headers) as response:
        assert response.status == status
        return await response.json()


async def test_art_17_a_customers_dialogs_are_erased_and_nobody_elses(http: ClientSession, served: Served) -> None:
    for number in range(3):
        await keep(served.service, f"d-{number}", text="find this marker")
    await keep(served.service, "other", customer_id="c-2")

    done = await ask(http, kind="erasure", customer_id="c-1")

    assert (done["status"], done["dialogs"], done["messages"]) == ("unreadable", 3, 6)
    kept = [isinstance(await served.service.store.dialogs.find(f"d-{number}"), StoredDialog) for number in range(3)]
    assert kept == [False] * 3
    assert isinstance(await served.service.store.dialogs.find("other"), StoredDialog)


async def test_art_17_the_report_is_signed_and_tells_what_a_reading_showed(http: ClientSession, served: Served) -> None:
    await keep(served.service, "d-1")

    done = await ask(http, kind="erasure", customer_id="c-1")
    async with http.get("/.well-known/jwks.json") as response:
        report = verified(done["report"], *(await response.json(content_type=None))["keys"])

    assert report["jti"] == done["id"]
    assert report["dialogs"] == ["d-1"]
    assert (report["keys_left"], report["rows_left"], report["earlier_copies_left"]) == (0, 0, False)


async def test_art_17_the_verification_finds_a_key_that_came_back(served: Served) -> None:
    sealed = await keep(served.service, "d-1")
    found = await served.service.store.dialogs.find(sealed.dialog_id)
    assert isinstance(found, StoredDialog)
    await served.service.privacy_requests.erase("c-1", by=OPERATOR)
    database = connect(served.folder / "data" / "consentful.db")
    database.execute("UPDATE dialog_keys SET wrapped = ?", (found.wrapped,))
    database.close()

    seen = await served.service.store.dialogs.residue(["d-1"])

    assert (seen.keys, seen.is_empty) == (1, False)


async def test_art_17_an_unknown_customer_is_no_error(http: ClientSession) -> None:
    done = await ask(http, kind="erasure", customer_id="nobody")

    assert (done["status"], done["dialogs"]) == ("unreadable", 0)


async def test_art_17_a_request_runs_anew_unless_it_is_a_repetition(
    http: ClientSession, served: Served, clock: FakeClock
) -> None:
    once = {"Idempotency-Key": "k-1"}
    await keep(served.service, "d-1")
    first = await ask(http, headers=once, kind="erasure", customer_id="c-1")
    await keep(served.service, "d-2")

    repeated = await ask(http, headers=once, kind="erasure", customer_id="c-1")
    assert repeated == first
    assert isinstance(await served.service.store.dialogs.find("d-2"), StoredDialog)

    clock.advance(24 * 3600 + 1)
    later = await ask(http, headers=once, kind="erasure", customer_id="c-1")
    assert (later["dialogs"], later["id"] != first["id"]) == (1, True)


@pytest.mark.parametrize("first", ["erasure", "access"])
async def test_an_idempotency_key_with_another_body_is_refused_and_erases_nobody(
    http: ClientSession, served: Served, clock: FakeClock, first: str
) -> None:
    once = {"Idempotency-Key": "k-1"}
    await keep(served.service, "d-2", customer_id="c-2")
    await ask(http, headers=once, kind=first, customer_id="c-1")

    problem = await ask(http, 422, headers=once, kind="erasure", customer_id="c-2")
    await ask(http, 422, headers=once, kind="portability", customer_id="c-1")

    assert problem["code"] == "idempotency_key"
    assert isinstance(await served.service.store.dialogs.find("d-2"), StoredDialog)
    await ask(http, headers=once, kind=first, customer_id="c-1")
    clock.advance(24 * 3600 + 1)
    assert (await ask(http, headers=once, kind="erasure", customer_id="c-2"))["dialogs"] == 1


async def test_of_requests_with_one_idempotency_key_that_arrive_together_one_runs(
    http: ClientSession, served: Served
) -> None:
    await keep(served.service, "d-1")

    async def send() -> tuple[int, Any]:
        once = {"Idempotency-Key": "k-1"}
        async with http.post(
            "/v1/privacy-requests", json={"kind": "erasure", "customer_id": "c-1"}, headers=once
        ) as response:
            return response.status, await response.json()

    answers = await asyncio.gather(*(send() for _ in range(8)))

    done = [body for status, body in answers if status == 201]
    assert done
    assert len({body["id"] for body in done}) == 1
    assert {body["code"] for status, body in answers if status != 201} <= {"in_progress"}
    assert (await send())[1] == done[0]


async def test_an_idempotency_key_that_is_being_executed_elsewhere_is_409(http: ClientSession, served: Served) -> None:
    who = "POST /v1/privacy-requests"
    repeat = served.service.repeats.of("local", who, "k-1", ("erasure", "c-1"))
    assert await served.service.store.leases.take(f"request {repeat.mark.hex()}", "another", timedelta(minutes=1))

    async with http.post(
        "/v1/privacy-requests",
        json={"kind": "erasure", "customer_id": "c-1"},
        headers={"Idempotency-Key": "k-1"},
    ) as response:
        assert (response.status, (await response.json())["code"]) == (409, "in_progress")
        assert int(response.headers["Retry-After"]) >= 1


async def test_an_idempotency_key_is_kept_keyed_and_gone_after_a_day(
    http: ClientSession, served: Served, clock: FakeClock
) -> None:
    await ask(http, headers={"Idempotency-Key": "erase c-1"}, kind="erasure", customer_id="c-1")

    def kept() -> list[tuple[Any, ...]]:
        with closing(connect(served.folder / "data" / "consentful.db")) as db:
            return db.execute("SELECT repeat_key, repeat_body FROM privacy_requests").fetchall()

    ((mark, body),) = kept()
    clock.advance(24 * 3600)
    await Housekeeping(served.service).refresh()
    until = kept()
    clock.advance(1)
    await Housekeeping(served.service).refresh()

    assert mark != hashlib.sha256(b"local\0erase c-1").digest()
    assert until == [(mark, body)]
    assert kept() == [(None, None)]


async def test_art_12_every_request_is_on_record_with_its_due_date(http: ClientSession, served: Served) -> None:
    await keep(served.service, "d-1")
    done = await ask(http, kind="erasure", customer_id="c-1")

    async with http.get(f"/v1/privacy-requests/{done['id']}") as response:
        assert await response.json() == done
    async with http.get("/v1/privacy-requests/unknown") as response:
        assert response.status == 404

    assert done["received_at"] == "2026-01-02T00:00:00Z"
    assert done["due_at"] == "2026-01-30T00:00:00Z"


async def test_art_12_3_what_is_pending_is_carried_on_by_the_server_and_counted_until_then(
    http: ClientSession, served: Served, clock: FakeClock
) -> None:
    await keep(served.service, "d-1")
    reader = connect(served.folder / "data" / "consentful.db", read_only=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM dialogs").fetchone()
    pending = await ask(http, kind="erasure", customer_id="c-1")
    clock.advance(timedelta(days=27).total_seconds())
    await Housekeeping(served.service).refresh()
    alarmed = await metrics_of(http)

    reader.execute("ROLLBACK")
    reader.close()
    await Housekeeping(served.service).refresh()
    calm = await metrics_of(http)
    async with http.get(f"/v1/privacy-requests/{pending['id']}") as response:
        done = await response.json()

    assert pending["status"] == "pending"
    assert "consentful_privacy_requests_pending 1.0" in alarmed
    assert "consentful_privacy_request_due_seconds 86400.0" in alarmed
    assert "consentful_privacy_requests_pending 0.0" in calm
    assert "consentful_privacy_request_due_seconds +Inf" in calm
    assert done["status"] == "unreadable"
    report = claims_of(done["report"])
    assert (report["dialogs"], report["earlier_copies_left"]) == (["d-1"], False)


@pytest.mark.parametrize(("settings", "due"), [({}, "2026-01-30"), ({"due_days": 45}, "2026-02-16")], ids=str)
async def test_art_12_3_a_request_is_due_as_the_law_of_the_place_has_it(
    clock: FakeClock, tmp_path: Path, settings: dict[str, Any], due: str
) -> None:
    async with testing.serve(clock=clock, folder=tmp_path, **settings) as served, ClientSession(served.url) as http:
        assert (await ask(http, kind="access", customer_id="c-1"))["request"]["due_at"] == f"{due}T00:00:00Z"


async def metrics_of(http: ClientSession) -> str:
    async with http.get("/metrics") as response:
        return await response.text()


@pytest.mark.parametrize("kind", ["access", "portability"])
async def test_art_15_and_20_all_that_is_held_of_one_customer(http: ClientSession, served: Served, kind: str) -> None:
    for number in range(3):
        await keep(served.service, f"d-{number}", text=f"text {number}")
    await keep(served.service, "other", customer_id="c-2", text="somebody else's")

    data = await ask(http, kind=kind, customer_id="c-1")

    assert data["customer_id"] == "c-1"
    assert (data["request"]["kind"], data["request"]["dialogs"], data["request"]["messages"]) == (kind, 3, 6)
    assert [dialog["dialog_id"] for dialog in data["dialogs"]] == ["d-0", "d-1", "d-2"]
    assert [dialog["messages"][0]["text"] for dialog in data["dialogs"]] == ["text 0", "text 1", "text 2"]
    assert all(dialog["purposes"] and dialog["expires_at"] and dialog["notice"] for dialog in data["dialogs"])


async def test_art_15_tells_purposes_recipients_retention_rights_source_and_where_to_complain(
    http: ClientSession, served: Served, clock: FakeClock
) -> None:
    await served.service.offer.add(CATALOGUE.wordings)
    for dialog_id in ("d-1", "d-2"):
        await keep(served.service, dialog_id)
    await keep(served.service, "other", customer_id="c-2")
    reading = served.service.pages
    first = clock.now()
    await reading.dialog("d-1", ReadScope(by=Actor("science")))
    await reading.dialog("other", ReadScope(by=Actor("strangers")))
    clock.advance(60)
    await reading.messages(Filter(), ReadScope(by=Actor("science")), order="newest", limit=100, view=list)

    data = await ask(http, kind="access", customer_id="c-1")

    assert data["recipients"] == [
        {"who": "science", "first_at": spelt(first), "last_at": spelt(clock.now()), "dialogs": 2}
    ]
    (notice,) = data["notices"]
    assert (notice["text"], notice["purposes"]) == ("May we?", ["improve", "research"])
    terms = notice["terms"]
    assert (terms["controller"], terms["contact"], terms["retention_days"]) == ("Shop", "privacy@shop.example", 30)
    assert {"access", "rectification", "erasure", "restriction", "portability"} <= set(terms["rights"])
    assert all(terms[field] for field in ("legal_basis", "complaint", "withdraw"))
    assert data["source"]
    assert data["automated_decisions"]
    for dialog in data["dialogs"]:
        assert dialog["purposes"] == ["improve", "research"]
        assert dialog["expires_at"] == spelt(START + timedelta(days=31))
        assert dialog["receipt"]


def spelt(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


DAMAGES = {
    "texts altered": "UPDATE seals SET texts = zeroblob(60) WHERE dialog = 2",
    "key altered": "UPDATE dialog_keys SET wrapped = randomblob(64) WHERE dialog = 2",
    "customer altered": "UPDATE seals SET customer = zeroblob(60) WHERE dialog = 2",
    "record altered": "UPDATE dialogs SET given_by = 'representative' WHERE id = 2",
    "a message missing": "DELETE FROM messages WHERE dialog = 2 AND seq = 2",
    "key missing": "DELETE FROM dialog_keys WHERE dialog = 2",
    "texts missing": "DELETE FROM seals WHERE dialog = 2",
}


@pytest.mark.parametrize("kind", ["access", "portability"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_art_15_and_20_a_damaged_dialog_is_named_and_the_others_are_delivered(
    http: ClientSession, served: Served, kind: str, damage: str
) -> None:
    for number in (1, 2, 3):
        await keep(served.service, f"d-{number}", text=f"text {number}")
    with closing(connect(served.folder / "data" / "consentful.db")) as database:
        database.execute(damage)

    data = await ask(http, kind=kind, customer_id="c-1")
    async with http.get(f"/v1/privacy-requests/{data['request']['id']}") as response:
        recorded = await response.json()

    assert [dialog["messages"][0]["text"] for dialog in data["dialogs"]] == ["text 1", "text 3"]
    assert (
        len(data["notices"]) == len({dialog["notice"]["sha256"] for dialog in data["dialogs"]}) or not data["notices"]
    )
    assert recorded == data["request"]
    assert (recorded["status"], recorded["damaged"]) == ("incomplete", ["d-2"])
    assert (recorded["dialogs"], recorded["messages"]) == (2, 4)


async def test_art_15_an_answer_is_complete_once_its_last_byte_was_sent_and_not_before(
    http: ClientSession, served: Served
) -> None:
    for number in range(3):
        await keep(served.service, f"d-{number}")
    scope = ReadScope(identify=True)
    answer = await served.service.privacy_requests.disclose("c-1", "access", by=OPERATOR, scope=scope)

    async def status() -> str:
        return (await served.service.privacy_requests.request(answer.request.id, by=OPERATOR, scope=scope)).status

    before = await status()
    async for _ in answer.dialogs(valid):
        pass
    during = await status()
    await answer.finish()

    assert (before, during, await status()) == ("incomplete", "incomplete", "complete")


async def test_art_15_an_answer_that_was_cut_short_stays_incomplete(http: ClientSession, served: Served) -> None:
    for number in range(200):
        await keep(served.service, f"d-{number}", text="x" * 30_000)
    response = await http.post("/v1/privacy-requests", json={"kind": "access", "customer_id": "c-1"})
    await response.content.readany()
    response.close()

    async with http.get(response.headers["Location"]) as found:
        recorded = await found.json()

    assert (recorded["status"], recorded["dialogs"]) == ("incomplete", 0)


async def test_an_answer_stops_soon_after_its_key_is_revoked(clock: FakeClock) -> None:
    async with testing.serve(clock=clock, auth="keys") as served, ClientSession(served.url) as http:
        for number in range(400):
            await keep(served.service, f"d-{number}", text="x" * 30_000)
        key = await served.create_key("privacy", name="leaked")
        headers = {"Authorization": f"Bearer {key}"}
        body = {"kind": "access", "customer_id": "c-1"}
        response = await http.post("/v1/privacy-requests", json=body, headers=headers)
        await response.content.readany()

        assert await served.service.store.credentials.revoke(key.split("_")[1])
        clock.advance(5)

        with pytest.raises(ClientPayloadError):
            await response.read()


async def valid() -> None:
    """A credential that has neither expired nor been revoked."""


async def test_art_15_of_an_unknown_customer_nothing_is_held(http: ClientSession) -> None:
    data = await ask(http, kind="access", customer_id="nobody")

    assert data["dialogs"] == []


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"kind": "erasure"}, "customer_id"),
        ({"customer_id": "c-1"}, "kind"),
        ({"kind": "oblivion", "customer_id": "c-1"}, "kind"),
        ({"kind": "erasure", "customer_id": ""}, "customer_id"),
        ({"kind": "erasure", "customer_id": "c-1", "why": "x"}, "why"),
    ],
)
async def test_a_malformed_request_is_named_and_changes_nothing(
    http: ClientSession, served: Served, body: dict[str, Any], names: str
) -> None:
    await keep(served.service, "d-1")

    problem = await ask(http, 400, **body)

    assert problem["parameter"] == names
    assert isinstance(await served.service.store.dialogs.find("d-1"), StoredDialog)


async def test_art_7_3_the_customers_code_takes_the_consent_back(http: ClientSession, served: Served) -> None:
    stored = await keep(served.service, "d-1")
    spelt = stored.withdrawal_code.lower().replace("-", " ")

    answers: list[Any] = []
    for code in (stored.withdrawal_code, spelt):
        async with http.post("/v1/withdrawals", json={"code": code}) as response:
            assert response.status == 200
            answers.append(await response.json())
    async with http.post("/v1/withdrawals", json={"code": "AAAAA-AAAAA"}) as response:
        assert response.status == 404

    assert answers[0] == answers[1]
    assert (answers[0]["dialog_id"], answers[0]["status"]) == ("d-1", "unreadable")
    assert not isinstance(await served.service.store.dialogs.find("d-1"), StoredDialog)


async def test_a_request_needs_the_privacy_scope() -> None:
    async with testing.serve(auth="keys") as served, ClientSession(served.url) as http:
        reader = await served.create_key("data:read", "dialogs:write", "data:identify")
        officer = await served.create_key("privacy", name="officer")
        body = {"kind": "erasure", "customer_id": "c-1"}

        statuses: list[int] = []
        for headers in ({}, {"Authorization": f"Bearer {reader}"}, {"Authorization": f"Bearer {officer}"}):
            async with http.post("/v1/privacy-requests", json=body, headers=headers) as response:
                statuses.append(response.status)

        assert statuses == [401, 403, 201]
