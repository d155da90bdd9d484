"""Customers of chatbots on the original contract have what others have: a role for each message, a notice, a receipt,
and a code to withdraw with."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Opened
from consentful_server.consent.notices import Wording
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import Served
from kept import get, messages, texts
from live import Live
from receipts import verified

Said = tuple[int, dict[str, Any]]


async def post(http: ClientSession, path: str, body: Any, **headers: str) -> Said:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    async with http.post(path, data=data, headers={"Content-Type": "application/json"} | headers) as response:
        return response.status, await response.json()


async def push(http: ClientSession, **fields: Any) -> Said:
    return await post(http, "/data/c-1/d-1", {"text": "Hi"} | fields)


async def grant(http: ClientSession, **details: Any) -> Said:
    return await post(http, "/consents/d-1", {"consent": True} | details)


async def claims(http: ClientSession, receipt: str) -> dict[str, Any]:
    return verified(receipt, *(await get(http, "/.well-known/jwks.json"))["keys"])


class TestMessages:
    async def test_have_a_role_a_time_and_a_chatbot(self, http: ClientSession) -> None:
        await push(http, text="Where is it?", sentAt="2026-01-01T00:00:00.5+01:00")
        await push(http, text="On its way.", role="bot", bot="parcels")
        await push(http, text="I can help.", role="agent", bot="parcels")
        assert (await grant(http))[0] == 200

        kept = {message["text"]: message for message in await messages(http)}
        assert [kept[text]["role"] for text in ("Where is it?", "On its way.", "I can help.")] == [
            "customer",
            "bot",
            "agent",
        ]
        assert {message["bot"] for message in kept.values()} == {"parcels"}
        assert kept["Where is it?"]["sent_at"] == "2025-12-31T23:00:00.500000Z"
        assert kept["On its way."]["sent_at"] is None

    async def test_have_them_in_a_form_as_well(self, http: ClientSession) -> None:
        form = "text=Hi&role=bot&bot=parcels&sentAt=2026-01-01T00%3A00%3A00Z"
        status, _ = await post(http, "/data/c-1/d-1", form, **{"Content-Type": "application/x-www-form-urlencoded"})
        assert status == 201
        await grant(http)

        (message,) = await messages(http)
        assert (message["role"], message["bot"], message["sent_at"]) == ("bot", "parcels", "2026-01-01T00:00:00Z")

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"role": "assistant"}, "role"),
            ({"role": ""}, "role"),
            ({"sentAt": "yesterday"}, "sentAt"),
            ({"sentAt": "2026-01-01T00:00:00"}, "sentAt"),
            ({"sentAt": "0001-01-01T00:00:00Z"}, "sentAt"),
            ({"sentAt": 1767225600}, "sentAt"),
            ({"bot": ""}, "bot"),
            ({"bot": "another"}, "bot"),
            ({"sent_at": "2026-01-01T00:00:00Z"}, "sent_at"),
        ],
    )
    async def test_that_are_malformed_are_named(self, http: ClientSession, fields: dict[str, Any], named: str) -> None:
        await push(http, bot="parcels")

        status, problem = await push(http, **fields)

        assert (status, problem["parameter"]) == (400, named)


class TestTheAnswerToAGrant:
    async def test_has_the_receipt_and_what_to_withdraw_with(self, http: ClientSession) -> None:
        await push(http)
        await push(http)

        status, answer = await grant(http)

        assert (status, answer["messages"], answer["withdrawUrl"]) == (200, 2, "/withdraw")
        assert answer["withdrawLink"] == f"/withdraw#{answer['withdrawalCode']}"
        assert (await claims(http, answer["receipt"]))["jti"] == "d-1"
        status, erased = await post(http, "/v1/withdrawals", {"code": answer["withdrawalCode"]})
        assert (status, erased["dialog_id"]) == (200, "d-1")
        assert await texts(http) == []

    async def test_is_the_same_again(self, http: ClientSession) -> None:
        await push(http)

        first = await grant(http)

        assert await grant(http) == first
        assert await asyncio.gather(*(grant(http, messages=1) for _ in range(3))) == [first] * 3

    async def test_names_no_code_after_a_no(self, http: ClientSession) -> None:
        await push(http)
        await grant(http)

        assert await post(http, "/consents/d-1", False) == (200, {"dialogId": "d-1", "consent": False, "messages": 1})

    async def test_is_a_problem_if_the_stored_dialog_is_damaged(self, http: ClientSession, service: Served) -> None:
        await push(http)
        await grant(http)
        db = connect(service.service.settings.data_dir / "consentful.db")
        db.execute("UPDATE dialog_keys SET wrapped = zeroblob(64)")
        db.close()

        status, problem = await grant(http)

        assert (status, problem["code"]) == (500, "damaged")


class TestTheNotice:
    @pytest.mark.parametrize(
        "language", [None, "de", "DE", "de-AT", "de_CH", "fr", "nn", "Klingonisch (frei)", "*", "en-"]
    )
    async def test_that_is_current_is_the_one_that_opened_shows(
        self, http: ClientSession, live: Live, language: str | None
    ) -> None:
        shown = await get(http, "/v1/notices/current", **({} if language is None else {"language": language}))

        if language in ("Klingonisch (frei)", "*", "en-"):
            assert shown["language"] == "en"
            return
        await live.send_raw(json.dumps({"type": "open", "customer_id": "c-1", "language": language}).encode())
        assert shown == json.loads(live.codec.encode((await live.receive(Opened)).notice))

    @pytest.mark.parametrize("query", ["language=", "language=" + "x" * 36, "lang=de", "language=de&language=en"])
    async def test_of_a_malformed_question_is_400(self, http: ClientSession, query: str) -> None:
        async with http.get(f"/v1/notices/current?{query}") as response:
            assert response.status == 400

    @pytest.mark.parametrize(
        ("pushed", "said", "recorded"),
        [
            (None, {}, "en"),
            ("DE", {}, "de"),
            ("de-CH", {}, "de"),
            ("DE", {"language": "fr"}, "fr"),
            ("DE", {"language": "FR_ca"}, "fr"),
            ("xx", {}, "en"),
            ("DE", {"notice": "default-1"}, "de"),
            ("DE", {"notice": "default-1", "language": "es"}, "es"),
        ],
    )
    async def test_is_recorded_in_the_language_in_which_it_was_shown(
        self, http: ClientSession, pushed: str | None, said: dict[str, str], recorded: str
    ) -> None:
        await push(http, **({} if pushed is None else {"language": pushed}))

        assert (await grant(http, **said))[0] == 200

        stored = await get(http, "/v1/dialogs/d-1")
        current = await get(http, "/v1/notices/current", language=recorded)
        assert stored["notice"] == {name: current[name] for name in ("id", "language", "sha256")}

    async def test_and_its_purposes_may_be_chosen(self, http: ClientSession, two_purposes: Wording) -> None:
        await push(http)
        assert (await grant(http, purposes=["sell"]))[1]["code"] == "purposes"
        assert (await grant(http, purposes=[]))[1]["code"] == "purposes"
        assert (await grant(http, notice="n-9"))[0] == 422

        status, answer = await grant(http, purposes=["research"], notice=two_purposes.id)

        assert status == 200
        assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["research"]
        assert await grant(http, purposes=["research"]) == (status, answer)
        for other in ({"purposes": ["improve"]}, {"notice": "default-1"}):
            status, problem = await grant(http, **other)
            assert (status, problem["code"]) == (409, "order")

    async def test_and_its_purposes_may_be_chosen_in_a_form(self, http: ClientSession, two_purposes: Wording) -> None:
        await push(http)

        status, _ = await post(
            http,
            "/consents/d-1",
            "accepted=true&purposes=research,improve&messages=1",
            **{"Content-Type": "application/x-www-form-urlencoded"},
        )

        assert status == 200
        assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == list(two_purposes.purposes)

    @pytest.mark.parametrize(
        ("details", "named"),
        [
            ({"purposes": "research"}, "purposes"),
            ({"purposes": [1]}, "purposes"),
            ({"notice": ""}, "notice"),
            ({"notice": 1}, "notice"),
            ({"language": ""}, "language"),
            ({"language": "x" * 36}, "language"),
        ],
    )
    async def test_that_is_named_badly_is_400_and_nothing_is_decided(
        self, http: ClientSession, details: dict[str, Any], named: str
    ) -> None:
        await push(http)

        status, problem = await grant(http, **details)

        assert (status, problem["parameter"]) == (400, named)
        assert (await grant(http))[0] == 200

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_needs_the_scope_of_a_chatbot(self, http: ClientSession, service: Served) -> None:
        reader = await service.create_key("data:read", name="reader")

        async with http.get("/v1/notices/current", headers={"Authorization": f"Bearer {reader}"}) as response:
            assert response.status == 403
