"""Who may do what: scopes by the table of routes, purposes, identities, owners."""

import base64
import re
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.app import ROUTES
from consentful_server.auth.access import SCOPES, Scope
from consentful_server.clock import to_micros
from consentful_server.consent.notices import Wording
from consentful_server.edges.http.route import Route
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep, messages, texts
from receipts import claims_of

OPEN = {
    "/v1/withdrawals": "the code is the key",
    "/.well-known/jwks.json": "receipts are verified by anyone",
    "/healthz": "load balancers",
    "/readyz": "load balancers",
    "/metrics": "Prometheus; the operator binds or firewalls it",
    "/openapi.json": "documentation",
    "/asyncapi.json": "documentation",
    "/docs": "documentation",
    "/docs/live": "documentation",
    "/": "the test page",
    "/static/{name}": "the files of pages",
    "/static/{version}/{name}": "the files of pages",
    "/explore": "the explorer, whose data are not",
    "/privacy": "the officer's page, whose data are not",
    "/ops": "the operations page, whose data are not",
    "/withdraw": "the code is the key",
    "/v1/dialogs/live": "it looks at the token itself; see test_upgrade.py",
}
"""The routes that need no token, and why."""

GUARDED = [route for route in ROUTES if route.scopes]
DOCUMENTED: dict[tuple[str, str], set[Scope]] = {
    ("GET", "/v1/messages"): {"data:read"},
    ("POST", "/v1/messages/search"): {"data:read"},
    ("POST", "/v1/dialogs:search"): {"data:read"},
    ("GET", "/v1/dialogs"): {"data:read"},
    ("GET", "/v1/dialogs/{dialog_id}"): {"data:read"},
    ("DELETE", "/v1/dialogs/{dialog_id}"): {"dialogs:write", "privacy"},
    ("GET", "/v1/annotations"): {"data:read"},
    ("GET", "/v1/annotations/{dialog_id}"): {"data:annotate"},
    ("GET", "/v1/annotations/{dialog_id}/{seq}"): {"data:annotate"},
    ("PUT", "/v1/annotations/{dialog_id}"): {"data:annotate"},
    ("PUT", "/v1/annotations/{dialog_id}/{seq}"): {"data:annotate"},
    ("DELETE", "/v1/annotations/{dialog_id}"): {"data:annotate", "privacy"},
    ("DELETE", "/v1/annotations/{dialog_id}/{seq}"): {"data:annotate", "privacy"},
    ("GET", "/v1/stats"): {"data:read"},
    ("GET", "/v1/stats/outcomes"): {"data:read"},
    ("GET", "/v1/exports/{export_id}"): {"data:read"},
    ("GET", "/v1/erasures"): {"data:read"},
    ("POST", "/v1/privacy-requests"): {"privacy"},
    ("GET", "/v1/privacy-requests"): {"privacy"},
    ("GET", "/v1/privacy-requests/{request_id}"): {"privacy"},
    ("POST", "/v1/privacy-requests/register"): {"privacy"},
    ("POST", "/v1/privacy-requests/{request_id}/decisions"): {"privacy"},
    ("POST", "/v1/customers/search"): {"privacy"},
    ("POST", "/v1/receipts/verify"): {"privacy"},
    ("GET", "/v1/recipients"): {"privacy"},
    ("GET", "/v1/retention"): {"privacy"},
    ("GET", "/v1/notices"): {"privacy"},
    ("GET", "/v1/access-log"): {"privacy"},
    ("POST", "/v1/access-log/search"): {"privacy"},
    ("GET", "/v1/access-log/dialogs"): {"privacy"},
    ("POST", "/v1/access-log/verify"): {"privacy"},
    ("POST", "/data/{customerId}/{dialogId}"): {"dialogs:write"},
    ("POST", "/consents/{dialogId}"): {"dialogs:write"},
    ("GET", "/v1/notices/current"): {"dialogs:write"},
    ("POST", "/v1/withdrawals/qr"): {"dialogs:write"},
    ("GET", "/v1/operations"): {"operate"},
    ("GET", "/v1/operations/events"): {"operate"},
    ("GET", "/data"): {"data:identify"},
    ("GET", "/data/"): {"data:identify"},
}
"""The contract's scopes."""


@pytest.fixture
def settings() -> dict[str, str]:
    return {"auth": "keys"}


async def ask(http: ClientSession, token: str, kind: str) -> Any:
    """Return the answer to a request of the customer `c-1`."""
    body = {"kind": kind, "customer_id": "c-1"}
    async with http.post("/v1/privacy-requests", json=body, headers=bearer(token)) as response:
        assert response.status == 201
        return await response.json()


def a_path(route: Route) -> str:
    return re.sub(r"\{\w+\}", "d-1", route.path)


def test_every_route_needs_the_documented_scope_or_is_open_for_a_reason() -> None:
    assert {route.path for route in ROUTES if not route.scopes} <= set(OPEN)
    for route in GUARDED:
        assert set(route.scopes) == DOCUMENTED[route.method, route.path]


async def test_no_guarded_route_answers_without_a_valid_key(http: ClientSession) -> None:
    for route in GUARDED:
        for headers in ({}, {"Authorization": "Bearer cfl_0_0"}, {"Authorization": "Basic eDp5"}):
            async with http.request(route.method, a_path(route), headers=headers) as response:
                assert (response.status, (await response.json())["code"]) == (401, "unauthenticated"), route.path
                had_token = "cfl" in str(headers)  # RFC 6750 §3.1: no error code without a token
                assert ('error="invalid_token"' in response.headers["WWW-Authenticate"]) == had_token
                assert response.headers["WWW-Authenticate"].startswith('Bearer realm="consentful"')
                assert response.content_type == "application/problem+json"


async def test_a_scope_opens_its_routes_and_no_other(http: ClientSession, service: Served) -> None:
    for scope in SCOPES:
        key = await service.create_key(scope, name=scope)
        for route in GUARDED:
            async with http.request(route.method, a_path(route), headers=bearer(key)) as response:
                if scope in route.scopes:
                    assert response.status not in (401, 403), (scope, route.path)
                else:
                    assert (response.status, (await response.json())["code"]) == (403, "forbidden"), (scope, route.path)
                    challenge = response.headers["WWW-Authenticate"]
                    assert f'error="insufficient_scope", scope="{route.scopes[0]}"' in challenge


async def test_head_needs_the_same_scope_as_get(http: ClientSession, service: Served) -> None:
    key = await service.create_key("dialogs:write")

    assert (await http.head("/v1/messages", headers=bearer(key))).status == 403
    assert (await http.head("/v1/messages")).status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_has_no_case(http: ClientSession, service: Served, scheme: str) -> None:
    key = await service.create_key()

    assert (await http.get("/v1/messages", headers={"Authorization": f"{scheme} {key}"})).status == 200


async def test_a_key_that_differs_in_any_letter_is_refused(http: ClientSession, service: Served) -> None:
    key = await service.create_key()

    for place in range(len(key)):
        forged = key[:place] + ("A" if key[place] != "A" else "B") + key[place + 1 :]
        assert (await http.get("/v1/messages", headers=bearer(forged))).status == 401


async def test_the_secret_of_one_key_does_not_open_with_the_id_of_another(http: ClientSession, service: Served) -> None:
    one, other = await service.create_key("data:read"), await service.create_key()
    mixed = "_".join([*other.split("_", 2)[:2], one.split("_", 2)[2]])

    assert (await http.get("/v1/messages", headers=bearer(mixed))).status == 401


async def test_an_expired_key_is_refused(http: ClientSession, service: Served, clock: FakeClock) -> None:
    end = to_micros(clock.now()) + 10_000_000
    key = await service.service.api_keys.create("test", ["data:read"], None, end)
    assert (await http.get("/v1/messages", headers=bearer(key))).status == 200

    clock.advance(10)

    assert (await http.get("/v1/messages", headers=bearer(key))).status == 401


async def test_a_revoked_key_is_refused_after_five_seconds(
    http: ClientSession, service: Served, clock: FakeClock
) -> None:
    key = await service.create_key()
    assert (await http.get("/v1/messages", headers=bearer(key))).status == 200
    assert await service.service.store.credentials.revoke(key.split("_")[1])

    clock.advance(5)

    assert (await http.get("/v1/messages", headers=bearer(key))).status == 401


async def test_when_a_key_was_last_used_is_on_record(http: ClientSession, service: Served, clock: FakeClock) -> None:
    used, idle = await service.create_key(name="used"), await service.create_key(name="idle")
    assert (await http.get("/v1/messages", headers=bearer(used))).status == 200
    at = to_micros(clock.now())

    await Housekeeping(service.service).refresh()
    clock.advance(60)

    found = {key.id: key.last_used_at for key in await service.service.store.credentials.all()}
    assert (found[used.split("_")[1]], found[idle.split("_")[1]]) == (at, None)


async def test_only_hashes_of_keys_are_stored(service: Served) -> None:
    secret = (await service.create_key()).split("_", 2)[2]

    stored = b"".join(path.read_bytes() for path in service.folder.rglob("*") if path.is_file())

    assert secret.encode() not in stored
    assert base64.urlsafe_b64decode(secret + "=") not in stored


class TestIdentity:
    async def test_customer_ids_are_shown_with_the_scope_only(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", customer_id="alice")
        reads, knows = await service.create_key("data:read"), await service.create_key("data:read", "data:identify")

        for path in ("/v1/messages", "/v1/dialogs"):
            assert "alice" not in str(await get(http, path, token=reads))
            assert (await get(http, path, token=knows))["items"][0]["customer_id"] == "alice"
        assert "customer_id" not in await get(http, "/v1/dialogs/d-1", token=reads)
        assert (await get(http, "/v1/dialogs/d-1", token=knows))["customer_id"] == "alice"

    async def test_looking_for_a_customer_id_needs_the_scope(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", customer_id="alice")
        reads, knows = await service.create_key("data:read"), await service.create_key("data:read", "data:identify")
        search = "/v1/messages/search"

        for guess in ("alice", "bob"):
            async with http.post(search, json={"customer_id": guess}, headers=bearer(reads)) as response:
                assert (response.status, (await response.json())["code"]) == (403, "forbidden")
        async with http.post(search, json={"customer_id": "alice"}, headers=bearer(knows)) as response:
            assert len((await response.json())["items"]) == 1

    async def test_a_pseudonym_is_the_same_for_the_same_customer_only(
        self, http: ClientSession, service: Served
    ) -> None:
        for number, customer_id in enumerate(("alice", "alice", "Alice")):
            await keep(service.service, f"d-{number}", customer_id=customer_id)

        third, second, first = [item["customer"] for item in await messages(http, token=await service.create_key())]

        assert first == second != third
        assert re.fullmatch(r"cus_[a-z2-7]{26}", first)


@pytest.mark.usefixtures("two_purposes")
class TestPurposes:
    async def test_a_key_bound_to_purposes_reads_what_was_granted_for_one_of_them(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", ["one"], purposes=["improve"])
        await keep(service.service, "d-2", ["two"], purposes=["research"])
        await keep(service.service, "d-3", ["both"])
        improve = await service.create_key(name="a", purposes=("improve",))
        neither = await service.create_key(name="b", purposes=("advertising",))
        everything = await service.create_key(name="c", purposes=("improve", "research"))

        assert await texts(http, token=improve) == ["both", "one"]
        assert await texts(http, token=neither) == []
        assert await texts(http, token=everything) == ["both", "two", "one"]
        assert await texts(http, token=improve, purpose="research") == ["both"]
        assert await texts(http, token=improve, dialog_id="d-2") == []
        dialogs = await get(http, "/v1/dialogs", token=improve)
        assert [item["dialog_id"] for item in dialogs["items"]] == ["d-3", "d-1"]
        async with http.get("/v1/messages?format=ndjson", headers=bearer(improve)) as response:
            assert b"two" not in await response.read()
        assert [item["text"] for item in await get(http, "/data", token=improve)] == ["both", "one"]

    async def test_a_dialog_of_another_purpose_is_not_there_before_and_after_its_erasure(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-2", purposes=["research"])
        improve = await service.create_key(name="a", purposes=("improve",))
        research = await service.create_key(name="b", purposes=("research",))

        assert (await http.get("/v1/dialogs/d-2", headers=bearer(improve))).status == 404
        assert (await http.get("/v1/dialogs/d-2", headers=bearer(research))).status == 200
        await service.service.archive.erase("d-2", "requested")
        assert (await http.get("/v1/dialogs/d-2", headers=bearer(improve))).status == 404
        assert (await http.get("/v1/dialogs/d-2", headers=bearer(research))).status == 410

    async def test_a_narrowed_consent_takes_the_dialog_from_the_other_purposes_readers(
        self, http: ClientSession, service: Served, two_purposes: Wording
    ) -> None:
        await keep(service.service, "d-1", ["one"])
        research = await service.create_key(purposes=(two_purposes.purposes[1],))
        assert await texts(http, token=research) == ["one"]

        await keep(service.service, "d-1", ["one"], purposes=[two_purposes.purposes[0]])

        assert await texts(http, token=research) == []

    async def test_a_cursor_of_a_key_with_other_purposes_is_refused(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["1", "2", "3"])
        improve = await service.create_key(name="a", purposes=("improve",))
        unbound = await service.create_key(name="b")
        cursor = (await get(http, "/v1/messages", token=unbound, limit=1))["next"]

        async with http.get("/v1/messages", params={"cursor": cursor}, headers=bearer(improve)) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "cursor")


@pytest.mark.usefixtures("two_purposes")
class TestAnOfficerBoundToPurposes:
    @pytest.fixture(autouse=True)
    async def kept(self, service: Served, two_purposes: Wording) -> None:
        await keep(service.service, "d-1", ["one"], purposes=["improve"])
        await keep(service.service, "d-2", ["two"], purposes=["research"])
        await keep(service.service, "d-3", ["both"])

    @pytest.fixture
    async def bound(self, service: Served) -> str:
        return await service.create_key("privacy", "data:read", name="bound", purposes=("improve",))

    @pytest.fixture
    async def unbound(self, service: Served) -> str:
        return await service.create_key("privacy", "data:read", name="unbound")

    @pytest.mark.parametrize("kind", ["access", "portability"])
    async def test_discloses_what_was_granted_for_one_of_them_and_says_so(
        self, http: ClientSession, bound: str, unbound: str, kind: str
    ) -> None:
        part, whole = [await ask(http, token, kind) for token in (bound, unbound)]

        assert [dialog["dialog_id"] for dialog in part["dialogs"]] == ["d-1", "d-3"]
        assert (part["request"]["purposes"], part["request"]["dialogs"]) == (["improve"], 2)
        assert [dialog["dialog_id"] for dialog in whole["dialogs"]] == ["d-1", "d-2", "d-3"]
        assert "purposes" not in whole["request"]

    async def test_erases_what_was_granted_for_one_of_them_and_the_report_says_so(
        self, http: ClientSession, bound: str, unbound: str
    ) -> None:
        done = await ask(http, bound, "erasure")

        assert (done["purposes"], done["dialogs"]) == (["improve"], 2)
        report = claims_of(done["report"])
        assert (report["purposes"], report["dialogs"]) == (["improve"], ["d-1", "d-3"])
        assert await texts(http, token=unbound) == ["two"]
        assert "purposes" not in claims_of((await ask(http, unbound, "erasure"))["report"])

    async def test_erases_no_single_dialog_of_another_purpose(
        self, http: ClientSession, service: Served, bound: str, unbound: str
    ) -> None:
        assert (await http.delete("/v1/dialogs/d-2", headers=bearer(bound))).status == 404
        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(bound))).status == 200
        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(bound))).status == 200
        await service.service.archive.erase("d-2", "requested")
        assert (await http.delete("/v1/dialogs/d-2", headers=bearer(bound))).status == 404
        assert await texts(http, token=unbound) == ["both"]

    async def test_withdraws_as_the_chatbot_that_it_is_as_well(self, http: ClientSession, service: Served) -> None:
        both = await service.create_key("privacy", "dialogs:write", name="local", purposes=("improve",))

        assert (await http.delete("/v1/dialogs/d-2", headers=bearer(both))).status == 200

    async def test_reads_no_request_that_concerns_other_purposes(
        self, http: ClientSession, service: Served, bound: str, unbound: str
    ) -> None:
        wide, narrow = [(await ask(http, token, "erasure"))["id"] for token in (unbound, bound)]
        other = await service.create_key("privacy", name="other", purposes=("research",))

        async def status(token: str, request_id: str) -> int:
            return (await http.get(f"/v1/privacy-requests/{request_id}", headers=bearer(token))).status

        assert [await status(token, wide) for token in (unbound, bound, other)] == [200, 404, 404]
        assert [await status(token, narrow) for token in (unbound, bound, other)] == [200, 200, 404]

    async def test_finds_in_the_access_log_what_concerns_its_dialogs(
        self, http: ClientSession, bound: str, unbound: str
    ) -> None:
        for dialog_id in ("d-1", "d-2", "d-3"):
            await get(http, f"/v1/dialogs/{dialog_id}", token=unbound)

        async def search(token: str, **about: str) -> list[str]:
            async with http.post("/v1/access-log/search", json=about, headers=bearer(token)) as response:
                return [entry["action"] for entry in (await response.json())["items"]]

        assert (await search(unbound, dialog_id="d-2"), await search(bound, dialog_id="d-2")) == (["dialog.read"], [])
        assert await search(bound, dialog_id="d-1") == ["dialog.read"]
        assert await search(bound, customer_id="c-1") == ["dialog.read"] * 2
        seen = await get(http, "/v1/access-log/dialogs", token=bound, limit=1)
        rest = await get(http, "/v1/access-log/dialogs", token=bound, limit=1, cursor=seen["next"])
        assert [item["dialog_id"] for page in (seen, rest) for item in page["items"]] == ["d-1", "d-3"]

    async def test_does_not_read_the_log_as_a_whole(self, http: ClientSession, bound: str, unbound: str) -> None:
        for token, status in ((bound, 403), (unbound, 200)):
            assert (await http.get("/v1/access-log", headers=bearer(token))).status == status
            assert (await http.post("/v1/access-log/search", json={}, headers=bearer(token))).status == status
            assert (await http.post("/v1/access-log/verify", json={}, headers=bearer(token))).status == status

    async def test_reads_no_manifest_but_its_own(self, http: ClientSession, bound: str, unbound: str) -> None:
        exports: list[str] = []
        for token in (bound, unbound):
            async with http.get("/v1/messages?format=ndjson", headers=bearer(token)) as response:
                await response.read()
                exports.append(response.headers["Export-Id"])

        statuses = [(await http.get(f"/v1/exports/{it}", headers=bearer(bound))).status for it in exports]

        assert statuses == [200, 404]


@pytest.mark.usefixtures("two_purposes")
class TestAReaderBoundToPurposes:
    async def test_cannot_tell_a_dialog_of_another_purpose_from_none_by_resuming_after_it(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", purposes=["improve"])
        await keep(service.service, "d-2", purposes=["research"])
        improve = await service.create_key(purposes=("improve",))

        problems: list[object] = []
        for after in ("1@d-2", "1@d-9"):
            params = {"format": "ndjson", "order": "stored", "after": after}
            async with http.get("/v1/messages", params=params, headers=bearer(improve)) as response:
                assert response.status == 400
                problems.append(await response.json() | {"request_id": "…"})

        assert problems[0] == problems[1]

    async def test_gets_no_outcomes_which_count_every_purpose(self, http: ClientSession, service: Served) -> None:
        improve = await service.create_key(purposes=("improve",))

        async with http.get("/v1/stats/outcomes", headers=bearer(improve)) as response:
            assert (response.status, (await response.json())["code"]) == (403, "forbidden")

    async def test_is_told_of_the_erasure_of_what_it_was_shown_before_the_consent_was_narrowed(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1")
        research = await service.create_key(purposes=("research",))
        assert await texts(http, token=research) == ["Hi"]
        await keep(service.service, "d-1", purposes=["improve"])

        await service.service.archive.erase("d-1", "requested")

        (erasure,) = (await get(http, "/v1/erasures", token=research))["items"]
        assert (erasure["dialog_id"], erasure["read"]) == ("d-1", True)


class TestOwners:
    async def test_a_chatbot_erases_its_own_dialogs_and_no_others(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["one"], owner="mine")
        await keep(service.service, "d-2", ["two"], owner="theirs")
        mine = await service.create_key("dialogs:write", name="mine")
        reads = await service.create_key("data:read", name="reader")

        assert (await http.delete("/v1/dialogs/d-2", headers=bearer(mine))).status == 404
        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(mine))).status == 200
        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(mine))).status == 200
        assert (await http.delete("/v1/dialogs/d-2", headers=bearer(reads))).status == 403
        assert await texts(http, token=reads) == ["two"]

    async def test_another_chatbots_erased_dialog_is_not_there(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", owner="theirs")
        await service.service.archive.erase("d-1", "requested")
        mine = await service.create_key("dialogs:write", name="mine")

        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(mine))).status == 404

    async def test_a_privacy_officer_erases_anyones(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", owner="theirs")
        officer = await service.create_key("privacy", name="officer")

        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(officer))).status == 200
        assert await texts(http, token=await service.create_key()) == []

    async def test_a_new_key_of_the_same_name_takes_over(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", owner="mine")
        newer = await service.create_key("dialogs:write", name="mine")

        assert (await http.delete("/v1/dialogs/d-1", headers=bearer(newer))).status == 200
