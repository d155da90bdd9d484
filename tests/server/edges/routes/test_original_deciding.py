"""The original contract: the decision, in every form that chatbots send, and what conflicts with it."""

import asyncio

import pytest
from aiohttp import ClientSession

from consentful.wire import Open
from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.testing import Served
from kept import get, texts
from live import Live

from .original import FORM, JSON, NAMES, brief, decide, post, push


class TestDeciding:
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (body, content_type)
            for body in (
                "true",
                "True",
                '"true"',
                '{"consent": true}',
                '{"consent":"true"}',
                " true\n",
                '"TRUE"',
                '"True"',
            )
            for content_type in (JSON, None, "text/plain", FORM)
        ]
        + [("consent=true", FORM), ("consent=True", FORM), ("consent=true", None), ('{"consent": true}', FORM)]
        + [(f'{{"{name}": true}}', JSON) for name in NAMES]
        + [(f'{{"{name}": "true"}}', "text/plain") for name in NAMES]
        + [(f"{name}=true", FORM) for name in NAMES]
        + [("%63onsent=%20true", FORM)],
    )
    async def test_every_spelling_of_a_yes_stores(
        self, http: ClientSession, body: str, content_type: str | None
    ) -> None:
        await push(http)

        status, answer = brief(await post(http, "/consents/d-1", body, content_type))

        assert (status, answer) == (200, {"dialogId": "d-1", "consent": True, "messages": 1})
        assert await texts(http) == ["Hi"]

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            ("false", JSON),
            ('"false"', JSON),
            ('{"consent": false}', JSON),
            ("false", None),
            ("consent=false", FORM),
            ("consent=FALSE", FORM),
            *((f'{{"{name}": false}}', JSON) for name in NAMES),
            *((f"{name}=False", FORM) for name in NAMES),
        ],
    )
    async def test_every_spelling_of_a_no_drops(
        self, http: ClientSession, service: Served, body: str, content_type: str | None
    ) -> None:
        await push(http)

        status, answer = await post(http, "/consents/d-1", body, content_type)

        assert (status, answer) == (200, {"dialogId": "d-1", "consent": False, "messages": 1})
        assert await texts(http) == []
        assert service.service.registry.bytes_used == 0

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            ("", JSON),
            ("1", JSON),
            ("0", JSON),
            ("null", JSON),
            ('"yes"', JSON),
            ('""', JSON),
            ("[true]", JSON),
            ("{}", JSON),
            ('{"consent": 1}', JSON),
            ('{"consent": null}', JSON),
            ('{"consent": true, "granted": false}', JSON),
            ('{"Consent": true}', JSON),
            ("consent=", FORM),
            ("consent=1", FORM),
            ("consent=true&consent=false", FORM),
            ("agreed=true", FORM),
            ("granted=true&consent=true", FORM),
            ("messages=1", FORM),
            ('{"messages": 1}', JSON),
            ('{"consent": true, "value": true}', JSON),
            ('{"consent": true, "reason": "none"}', JSON),
            ('{"consent": {"granted": true}}', JSON),
            ('{"value": [true]}', JSON),
            ("truetrue", JSON),
            (b"\xff", JSON),
        ],
    )
    async def test_what_is_neither_yes_nor_no_decides_nothing(
        self, http: ClientSession, body: str | bytes, content_type: str
    ) -> None:
        await push(http)

        status, problem = await post(http, "/consents/d-1", body, content_type)

        assert (status, problem["code"], problem["parameter"]) == (400, "bad_request", "body")
        assert await texts(http) == []
        assert (await decide(http, True))[1]["messages"] == 1

    async def test_a_refused_decision_lists_what_is_taken(self, http: ClientSession) -> None:
        for body, content_type in (("maybe", JSON), ("{}", JSON), ('{"consent": 1}', JSON), ("agreed=true", FORM)):
            _, problem = await post(http, "/consents/d-1", body, content_type)
            assert all(name in problem["detail"] for name in (*NAMES, "true or false", "form")), body

    async def test_a_decision_about_an_unknown_dialog_is_404(self, http: ClientSession) -> None:
        for decision in (True, False):
            status, problem = await decide(http, decision)
            assert (status, problem["code"]) == (404, "not_found")

    @pytest.mark.parametrize("decision", [True, False])
    async def test_the_same_decision_again_gets_the_same_answer(self, http: ClientSession, decision: bool) -> None:
        await push(http, "one")
        await push(http, "two")

        first = await decide(http, decision)

        assert first == (200, {"dialogId": "d-1", "consent": decision, "messages": 2})
        assert await decide(http, decision) == first
        assert await texts(http) == (["two", "one"] if decision else [])

    async def test_a_no_after_a_yes_erases(self, http: ClientSession) -> None:
        await push(http)
        await decide(http, True)

        assert await decide(http, False) == (200, {"dialogId": "d-1", "consent": False, "messages": 1})

        assert await texts(http) == []
        assert (await http.get("/v1/dialogs/d-1")).status == 410
        assert await decide(http, False) == (200, {"dialogId": "d-1", "consent": False, "messages": 1})
        status, problem = await decide(http, True)
        assert (status, problem["code"]) == (410, "erased")

    async def test_a_yes_after_a_no_is_404_for_nothing_is_left_to_store(self, http: ClientSession) -> None:
        await push(http)
        await decide(http, False)

        assert (await decide(http, True))[0] == 404

    async def test_two_decisions_at_once_agree(self, http: ClientSession) -> None:
        await push(http)

        answers = await asyncio.gather(*(decide(http, True) for _ in range(5)))

        assert answers == [(200, {"dialogId": "d-1", "consent": True, "messages": 1})] * 5
        assert await texts(http) == ["Hi"]

    @pytest.mark.parametrize(("error", "code"), [(StorageFailed(), "storage"), (OutcomeUnknown(), "unknown")])
    async def test_a_decision_that_could_not_be_stored_may_be_sent_again(
        self,
        http: ClientSession,
        service: Served,
        monkeypatch: pytest.MonkeyPatch,
        error: StorageFailed | OutcomeUnknown,
        code: str,
    ) -> None:
        await push(http)
        reached, let_go = asyncio.Event(), asyncio.Event()

        async def fails(*_: object, **__: object) -> None:
            reached.set()
            await let_go.wait()
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(service.service.store.dialogs, "keep", fails)
            deciding = asyncio.create_task(decide(http, True))
            await reached.wait()
        meanwhile = asyncio.create_task(decide(http, True))
        late = asyncio.create_task(post(http, "/data/c-1/d-1", '{"text": "late"}'))
        await get(http, "/healthz")
        let_go.set()

        status, problem = await deciding
        assert (status, problem["code"]) == (503, code)
        assert (await meanwhile)[0] == 200
        assert (await late)[0] in (201, 409)
        assert "Hi" in await texts(http)


class TestConflicts:
    async def test_another_customer_cannot_add_to_a_dialog(self, http: ClientSession) -> None:
        await push(http)

        status, problem = await post(http, "/data/c-2/d-1", '{"text": "mine?"}')

        assert (status, problem["code"]) == (409, "conflict")
        assert (await decide(http, True))[1]["messages"] == 1

    async def test_a_stored_dialog_takes_nothing_more(self, http: ClientSession) -> None:
        await push(http)
        await decide(http, True)

        status, problem = await post(http, "/data/c-1/d-1", '{"text": "more"}')

        assert (status, problem["code"]) == (409, "conflict")
        assert await texts(http) == ["Hi"]

    async def test_an_erased_dialog_takes_nothing_more(self, http: ClientSession) -> None:
        await push(http)
        await decide(http, True)
        await decide(http, False)

        status, problem = await post(http, "/data/c-1/d-1", '{"text": "more"}')

        assert (status, problem["code"]) == (410, "erased")

    async def test_a_discarded_dialog_may_begin_again(self, http: ClientSession) -> None:
        await push(http, "one")
        await decide(http, False)
        await push(http, "two")

        assert (await decide(http, True))[1]["messages"] == 1
        assert await texts(http) == ["two"]

    async def test_a_live_connection_and_pushed_data_do_not_share_a_dialog(
        self, http: ClientSession, live: Live
    ) -> None:
        await live.open("c-2", dialog_id="d-1")

        assert (await post(http, "/data/c-1/d-1", '{"text": "Hi"}'))[0] == 409
        await push(http, path="/data/c-1/d-2")
        await live.say("still here")
        await live.grant()

    async def test_a_live_connection_of_another_customer_does_not_take_pushed_data(
        self, http: ClientSession, live: Live
    ) -> None:
        await push(http)

        await live.send(Open("c-2", "d-1"))

        assert (await live.until_closed())[1] == 4509
        assert (await decide(http, True))[1]["messages"] == 1

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_another_credential_neither_adds_nor_decides(self, http: ClientSession, service: Served) -> None:
        mine, theirs = await service.create_key(name="mine"), await service.create_key(name="theirs")
        assert (await post(http, "/data/c-1/d-1", '{"text": "Hi"}', token=mine))[0] == 201

        assert (await post(http, "/data/c-1/d-1", '{"text": "Ho"}', token=theirs))[0] == 409
        assert (await post(http, "/consents/d-1", "true", token=theirs))[0] == 404
        assert (await post(http, "/consents/d-1", "false", token=theirs))[0] == 404
        assert (await post(http, "/consents/d-1", "true", token=mine))[0] == 200
        assert (await post(http, "/consents/d-1", "false", token=theirs))[0] == 404
        assert await texts(http, token=mine) == ["Hi"]
