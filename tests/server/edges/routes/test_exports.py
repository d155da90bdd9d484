"""What became of exports: manifests, and the feed of erasures (GDPR art. 19)."""

import asyncio
import hashlib
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.auth.access import Scope
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.testing import FakeClock, Served
from kept import bearer, export_ended, get, keep

RAW = {"Accept-Encoding": "identity"}
WITH_KEYS = pytest.mark.parametrize("settings", [{"auth": "keys"}])


async def export(
    http: ClientSession, token: str | None = None, path: str = "/v1/messages", **params: str
) -> tuple[str, bytes]:
    params = {"format": "ndjson"} | params
    async with http.get(path, params=params, headers=RAW | bearer(token)) as response:
        assert response.status == 200
        return response.headers["Export-Id"], await response.read()


async def feed(http: ClientSession, token: str | None = None, **params: Any) -> list[tuple[str, list[str], bool]]:
    page = await get(http, "/v1/erasures", token=token, **params)
    return [(item["dialog_id"], item["exports"], item["read"]) for item in page["items"]]


async def key(service: Served, name: str, *scopes: Scope, purposes: list[str] | None = None) -> str:
    return await service.service.api_keys.create(name, scopes, purposes)


class TestManifests:
    @pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "arrow"])
    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/dialogs"])
    async def test_a_manifest_tells_what_was_sent(
        self, http: ClientSession, service: Served, path: str, form: str
    ) -> None:
        await keep(service.service, "d-1", language="en")
        await keep(service.service, "d-2", language="de")

        export_id, data = await export(http, path=path, format=form, language="en")
        manifest = await get(http, f"/v1/exports/{export_id}")

        assert manifest["complete"] is True
        assert (manifest["rows"], manifest["bytes"]) == (1, len(data))
        assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
        assert manifest["filter"] == {"language": "en", "watermark": 2}
        assert (manifest["stale"], manifest["erased"]) == (False, [])

    async def test_it_turns_stale_when_a_dialog_in_it_is_erased(self, http: ClientSession, service: Served) -> None:
        for number in range(4):
            await keep(service.service, f"d-{number}", language="de" if number == 3 else "en")
        await service.service.archive.erase("d-0", "requested")
        export_id, _ = await export(http, language="en")
        await service.service.archive.erase("d-1", "requested")
        await service.service.archive.erase("d-3", "requested")

        manifest = await get(http, f"/v1/exports/{export_id}")

        assert (manifest["stale"], manifest["erased"]) == (True, ["d-1"])

    async def test_one_that_was_cut_short_is_not_complete(self, http: ClientSession, service: Served) -> None:
        for number in range(40):
            await keep(service.service, f"d-{number}", ["x" * 30_000] * 30)
        with export_ended(service.service) as ended:
            response = await http.get("/v1/messages?format=ndjson", headers=RAW)
            export_id = response.headers["Export-Id"]
            await response.content.readany()
            running = await get(http, f"/v1/exports/{export_id}")
            response.close()
            async with asyncio.timeout(5):
                await ended.wait()
        manifest = await get(http, f"/v1/exports/{export_id}")

        assert (running["complete"], running["ended_at"], running["rows"]) == (False, None, None)
        assert (manifest["complete"], manifest["ended_at"] is None) == (False, False)
        assert manifest["rows"] < 1200

    @WITH_KEYS
    async def test_another_ones_export_looks_like_none(self, http: ClientSession, service: Served) -> None:
        ann, bob = await key(service, "ann", "data:read"), await key(service, "bob", "data:read")
        officer = await key(service, "officer", "data:read", "privacy")
        export_id, _ = await export(http, ann)

        foreign = await http.get(f"/v1/exports/{export_id}", headers=bearer(bob))
        missing = await http.get("/v1/exports/0199f2ab-none", headers=bearer(bob))

        answers = [await each.json(content_type=None) | {"request_id": "…"} for each in (foreign, missing)]
        assert (foreign.status, answers[0]) == (missing.status, answers[1])
        assert foreign.status == 404
        assert (await get(http, f"/v1/exports/{export_id}", token=officer))["who"] == "ann"

    async def test_what_was_asked_for_goes_with_the_customer_whom_it_named(
        self, http: ClientSession, service: Served
    ) -> None:
        await keep(service.service, "d-1", customer_id="c-1")
        export_id, _ = await export(http, customer=service.service.archive.pseudonym("c-1"))

        async with http.post("/v1/privacy-requests", json={"kind": "erasure", "customer_id": "c-1"}) as response:
            assert response.status == 201

        assert (await get(http, f"/v1/exports/{export_id}"))["filter"] is None


class TestFeed:
    @WITH_KEYS
    async def test_art_19_an_erasure_names_the_exports_that_held_it(self, http: ClientSession, service: Served) -> None:
        ann, bob = await key(service, "ann", "data:read"), await key(service, "bob", "data:read")
        officer = await key(service, "officer", "data:read", "privacy")
        for number in range(3):
            await keep(service.service, f"d-{number}", language="en" if number else "de")
        english, _ = await export(http, ann, language="en")
        everything, _ = await export(http, ann, path="/v1/dialogs", format="parquet")
        await get(http, "/v1/messages", token=bob, language="de")
        for number in (2, 0):
            await service.service.archive.erase(f"d-{number}", "requested")

        assert await feed(http, ann) == [("d-2", [english, everything], False), ("d-0", [everything], False)]
        assert await feed(http, bob) == [("d-2", [], False), ("d-0", [], True)]
        assert await feed(http, officer) == [("d-2", [english, everything], False), ("d-0", [everything], False)]

    async def test_a_cursor_goes_on_exactly_where_it_ended(self, http: ClientSession, service: Served) -> None:
        seen: list[str] = []
        params: dict[str, Any] = {"limit": 2}
        for number in range(7):
            await keep(service.service, f"d-{number}")
            await service.service.archive.erase(f"d-{number}", "requested")
            if number % 3 == 2:
                page = await get(http, "/v1/erasures", **params)
                seen += [item["dialog_id"] for item in page["items"]]
                params["cursor"] = page["next"]
        while True:
            page = await get(http, "/v1/erasures", **params)
            seen += [item["dialog_id"] for item in page["items"]]
            params["cursor"] = page["next"]
            if not page["more"]:
                break

        assert seen == [f"d-{number}" for number in range(7)]
        assert (await get(http, "/v1/erasures", **params))["items"] == []

    async def test_what_was_never_stored_is_not_in_it(self, http: ClientSession, service: Served) -> None:
        await service.service.archive.decline("d-9", "c-1", owner="local", retract=True)

        assert await feed(http) == []

    @WITH_KEYS
    async def test_a_purpose_that_is_not_ones_own_is_not_told(
        self, http: ClientSession, service: Served, two_purposes: object
    ) -> None:
        research = await key(service, "lab", "data:read", purposes=["research"])
        await keep(service.service, "d-1", purposes=["improve"])
        await keep(service.service, "d-2", purposes=["research"])
        for dialog_id in ("d-1", "d-2"):
            await service.service.archive.erase(dialog_id, "requested")

        assert [dialog_id for dialog_id, _, _ in await feed(http, research)] == ["d-2"]

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "", "é"])
    async def test_a_cursor_that_is_none_is_named(self, http: ClientSession, cursor: str) -> None:
        async with http.get("/v1/erasures", params={"cursor": cursor}) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "cursor")

    @WITH_KEYS
    async def test_a_recipient_who_does_not_follow_raises_an_alert(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        ann, bob = await key(service, "ann", "data:read"), await key(service, "bob", "data:read")
        await keep(service.service, "d-1")
        await export(http, ann)
        await service.service.archive.erase("d-1", "requested")
        clock.advance(3600)

        async def untold() -> float:
            await Housekeeping(service.service).refresh()
            return service.service.metrics.untold._value.get()  # pyright: ignore

        assert await untold() == 3600
        page = await get(http, "/v1/erasures", token=bob)
        await get(http, "/v1/erasures", token=bob, cursor=page["next"])
        assert await untold() == 3600, "somebody else's reading is no answer"
        page = await get(http, "/v1/erasures", token=ann)
        assert await untold() == 3600, "what was sent may not have arrived"
        await get(http, "/v1/erasures", token=ann, cursor=page["next"])
        assert await untold() == 0
