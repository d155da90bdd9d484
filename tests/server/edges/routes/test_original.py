"""The original HTTP contract: every spelling that was ever sent, and what comes back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from consentful.wire import Open
from consentful_server.dialogs.registry import DIALOG_BYTES
from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep, texts
from live import Live

JSON = "application/json"
PROOF = {"receipt", "withdrawalCode", "withdrawUrl"}
NAMES = ("consent", "consents", "is_accepted", "accepted", "value", "has_given_consent", "granted")
FORM = "application/x-www-form-urlencoded"


async def post(
    http: ClientSession, path: str, body: bytes | str, content_type: str | None = JSON, *, token: str | None = None
) -> tuple[int, Any]:
    headers = bearer(token) | ({"Content-Type": content_type} if content_type else {})
    data = body.encode() if isinstance(body, str) else body
    async with http.post(
        path, data=data, headers=headers, allow_redirects=False, skip_auto_headers=["Content-Type"]
    ) as response:
        return response.status, await response.json()


async def push(http: ClientSession, text: str = "Hi", path: str = "/data/c-1/d-1", **fields: str) -> None:
    status, answer = await post(http, path, json.dumps({"text": text} | fields))
    assert status == 201, answer


async def decide(http: ClientSession, decision: bool, dialog_id: str = "d-1") -> tuple[int, Any]:
    return brief(await post(http, f"/consents/{dialog_id}", json.dumps(decision)))


def brief(said: tuple[int, Any]) -> tuple[int, Any]:
    """Return it without the receipt and the code, which are never the same."""
    status, answer = said
    return status, {name: value for name, value in answer.items() if name not in PROOF}


class TestPushing:
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            ('{"text": "Grüezi & Co", "language": "DE"}', JSON),
            ('{"text": "Grüezi & Co", "language": "DE"}', "application/json; charset=utf-8"),
            ('{"text": "Grüezi & Co", "language": "DE"}', None),
            ('{"text": "Grüezi & Co", "language": "DE"}', "text/plain"),
            ('{"text": "Grüezi & Co", "language": "DE"}', FORM),
            (' {"language":"DE","text":"Gr\\u00fcezi \\u0026 Co"}\n', JSON),
            ("text=Gr%C3%BCezi+%26+Co&language=DE", FORM),
            ("language=DE&text=Gr%C3%BCezi%20%26%20Co", FORM),
            ("text=Grüezi+%26+Co&language=DE", FORM),
            ("text=Gr%C3%BCezi+%26+Co&language=DE", None),
        ],
    )
    async def test_every_spelling_of_a_message_is_taken(
        self, http: ClientSession, body: str, content_type: str | None
    ) -> None:
        status, answer = await post(http, "/data/c-1/d-1", body, content_type)

        assert (status, answer) == (201, {"dialogId": "d-1", "messages": 1})
        assert (await decide(http, True))[0] == 200
        (datum,) = await get(http, "/data")
        assert (datum["text"], datum["language"]) == ("Grüezi & Co", "DE")

    async def test_the_language_may_be_left_out(self, http: ClientSession) -> None:
        await push(http)
        await decide(http, True)

        (datum,) = await get(http, "/data")
        assert datum["language"] is None

    @pytest.mark.parametrize(
        ("body", "content_type", "named"),
        [
            ("", JSON, "body"),
            ("", FORM, "text"),
            ("[]", JSON, "body"),
            ('"text"', JSON, "body"),
            ("{", JSON, "body"),
            (b'{"text": "\xff"}', JSON, "body"),
            (b"text=\xff", FORM, "body"),
            ("text=%FF", FORM, "body"),
            ("text", FORM, "body"),
            ("text=a&text=b", FORM, "body"),
            ("&".join(f"f{number}=1" for number in range(11)), FORM, "body"),
            ("{}", JSON, "text"),
            ('{"text": ""}', JSON, "text"),
            ('{"text": 5}', JSON, "text"),
            ('{"text": null}', JSON, "text"),
            ("text=", FORM, "text"),
            ("language=EN", FORM, "text"),
            ('{"text": "Hi", "language": ""}', JSON, "language"),
            ('{"text": "Hi", "language": "' + "x" * 36 + '"}', JSON, "language"),
            ('{"text": "Hi", "language": 7}', JSON, "language"),
            ('{"text": "Hi", "mood": "good"}', JSON, "mood"),
            ("text=Hi&mood=good", FORM, "mood"),
        ],
    )
    async def test_a_malformed_message_is_named_and_leaves_nothing(
        self, http: ClientSession, service: Served, body: str | bytes, content_type: str, named: str
    ) -> None:
        status, problem = await post(http, "/data/c-1/d-1", body, content_type)

        assert (status, problem["code"], problem["parameter"]) == (400, "bad_request", named)
        assert service.service.registry.bytes_used == 0
        assert (await decide(http, True))[0] == 409

    @pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "text/xml", "image/png"])
    async def test_another_media_type_is_415(self, http: ClientSession, content_type: str) -> None:
        for path in ("/data/c-1/d-1", "/consents/d-1"):
            status, problem = await post(http, path, b"true", content_type)
            assert (status, problem["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/data/c-1/a%20b", "dialogId"),
            ("/data/c-1/" + "d" * 201, "dialogId"),
            ("/data/c-1/%C3%A4", "dialogId"),
            ("/data/" + "c" * 201 + "/d-1", "customerId"),
        ],
    )
    async def test_a_malformed_id_is_named(self, http: ClientSession, path: str, named: str) -> None:
        status, problem = await post(http, path, '{"text": "Hi"}')

        assert (status, problem["parameter"]) == (400, named)

    async def test_a_customer_id_may_be_any_text(self, http: ClientSession) -> None:
        await push(http, path="/data/a%2Fb%20%C3%A4%3F/d-1")
        await decide(http, True)

        (datum,) = await get(http, "/data", customerId="a/b ä?")
        assert datum["customerId"] == "a/b ä?"

    @pytest.mark.parametrize("settings", [{"max_text_bytes": 8, "max_messages": 2}])
    async def test_limits_are_those_of_a_live_dialog(self, http: ClientSession) -> None:
        status, problem = await post(http, "/data/c-1/d-1", '{"text": "123456789"}')
        assert (status, problem["code"]) == (413, "limit")
        await push(http, "1")
        await push(http, "2")
        assert (await post(http, "/data/c-1/d-1", '{"text": "3"}'))[0] == 413

        assert (await decide(http, False))[1]["messages"] == 2

    @pytest.mark.parametrize("settings", [{"max_dialog_bytes": 1024, "memory": DIALOG_BYTES, "max_text_bytes": 1024}])
    async def test_a_full_server_is_503_and_holds_nothing_in_part(self, http: ClientSession, service: Served) -> None:
        async with http.post("/data/c-1/d-1", json={"text": "Hi"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")

        assert service.service.registry.bytes_used == 0
        assert len(service.service.registry) == 0


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


class TestTime:
    async def test_an_idle_dialog_is_forgotten(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await push(http)
        clock.advance(899)
        service.service.registry.tick(clock.monotonic())
        await push(http, "still here")
        clock.advance(899)
        service.service.registry.tick(clock.monotonic())
        assert len(service.service.registry) == 1

        clock.advance(1)
        service.service.registry.tick(clock.monotonic())

        assert len(service.service.registry) == 0
        assert service.service.registry.bytes_used == 0
        assert (await decide(http, True))[0] == 409

    @pytest.mark.parametrize("settings", [{"max_duration": 100}])
    async def test_a_dialog_that_lasts_too_long_is_forgotten(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await push(http)
        clock.advance(99)
        await push(http, "still here")

        clock.advance(1)
        service.service.registry.tick(clock.monotonic())

        assert (await decide(http, True))[0] == 409
        assert await texts(http) == []


class TestListing:
    @pytest.mark.parametrize("path", ["/data", "/data/"])
    async def test_nothing_is_an_empty_array_without_a_redirect(self, http: ClientSession, path: str) -> None:
        async with http.get(path, allow_redirects=False) as response:
            assert (response.status, response.content_type) == (200, JSON)
            assert await response.json() == []

    @pytest.mark.parametrize("path", ["/data", "/data/"])
    async def test_a_datum_has_the_original_fields_newest_first(
        self, http: ClientSession, clock: FakeClock, path: str
    ) -> None:
        await push(http, "one", language="EN")
        clock.advance(60)
        await push(http, "two", language="pt-br")
        await decide(http, True)

        two, one = await get(http, path)

        assert one == {
            "customerId": "c-1",
            "dialogId": "d-1",
            "text": "one",
            "language": "EN",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        assert (two["text"], two["language"], two["timestamp"]) == ("two", "pt-br", "2026-01-01T00:01:00Z")

    @pytest.mark.parametrize(
        ("spelt", "asked"),
        [
            ("en_US", ["en_US", "en-us", "EN", "en"]),
            ("English", ["english", "ENGLISH"]),
            ("Schweizer Deutsch", ["schweizer deutsch", "SCHWEIZER DEUTSCH"]),
            ("Español", ["español", "ESPAN\u0303OL"]),
            ("STRASSENDEUTSCH", ["straßendeutsch"]),
            ("zh_hant_tw", ["zh-Hant", "ZH"]),
            ("notalanguage", ["NotALanguage"]),
            ("en-", ["EN-"]),
            ("日本語", ["日本語"]),
            ("x" * 35, ["X" * 35]),
            ("../<b>\t;", ["../<B>\t;"]),
        ],
    )
    async def test_a_language_is_any_text_kept_as_spelt_and_compared_without_case(
        self, http: ClientSession, spelt: str, asked: list[str]
    ) -> None:
        await push(http, language=spelt)
        assert (await decide(http, True))[0] == 200

        for language in asked:
            assert [datum["language"] for datum in await get(http, "/data", language=language)] == [spelt]
        assert await get(http, "/data", language="other") == []

    async def test_undecided_data_is_not_listed(self, http: ClientSession) -> None:
        await push(http)

        assert await get(http, "/data") == []

    async def test_what_was_said_live_is_listed_as_well(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["live"])

        assert [datum["text"] for datum in await get(http, "/data")] == ["live"]

    async def test_filters_are_all_fulfilled(self, http: ClientSession) -> None:
        for customer, dialog, language in (("c-1", "d-1", "EN"), ("c-1", "d-2", "de-CH"), ("c-2", "d-3", "DE")):
            await push(http, dialog, f"/data/{customer}/{dialog}", language=language)
            await decide(http, True, dialog)

        async def listed(**asked: str) -> list[str]:
            return [datum["text"] for datum in await get(http, "/data", **asked)]

        assert await listed() == ["d-3", "d-2", "d-1"]
        assert await listed(language="de") == await listed(language="DE") == ["d-3", "d-2"]
        assert await listed(customerId="c-1") == await listed(customer_id="c-1") == ["d-2", "d-1"]
        assert await listed(language="de", customerId="c-1") == ["d-2"]
        assert await listed(language="de", customerId="nobody") == []
        assert await listed(customerId="c-1", customer_id="c-1") == ["d-2", "d-1"]
        assert await listed(limit="1") == ["d-3"]
        assert await listed(limit="1", offset="1") == ["d-2"]
        assert await listed(offset="3") == []

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("offset=-1", "offset"),
            ("offset=x", "offset"),
            ("offset=99999999999999999999999", "offset"),
            ("language=", "language"),
            ("language=" + "x" * 36, "language"),
            ("customerId=", "customerId"),
            ("customer_id=", "customer_id"),
            ("customerId=a&customer_id=b", "customer_id"),
            ("limit=1&limit=2", "limit"),
            ("dialogId=d-1", "dialogId"),
        ],
    )
    async def test_a_malformed_parameter_is_named(self, http: ClientSession, query: str, named: str) -> None:
        async with http.get(f"/data?{query}") as response:
            assert (response.status, (await response.json())["parameter"]) == (400, named)

    async def test_an_offset_far_beyond_the_end_is_an_empty_array(self, http: ClientSession) -> None:
        assert await get(http, "/data", offset=str(2**53)) == []

    async def test_following_the_link_header_walks_all_pages(self, http: ClientSession, service: Served) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", [f"{number} {seq}" for seq in range(3)], language="en")
        whole = [datum["text"] for datum in await get(http, "/data", limit=1000)]

        assert await walked(http, "/data?limit=2&language=EN") == whole
        assert await walked(http, "/data/?limit=2&language=EN&customerId=c-1") == whole
        assert await walked(http, "/data?limit=4&offset=3") == whole[3:]
        assert len(whole) == 9

    async def test_rows_that_arrive_meanwhile_are_neither_shown_nor_shift_what_follows(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(4):
            await keep(service.service, f"d-{number}", [str(number)])
            clock.advance(1)

        async def arrive(page: int) -> None:
            clock.advance(1)
            await keep(service.service, f"late-{page}", [f"late {page}"])

        assert await walked(http, "/data?limit=1", arrive) == ["3", "2", "1", "0"]

    async def test_what_is_erased_meanwhile_shifts_nothing_either(
        self, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        for number in range(4):
            await keep(service.service, f"d-{number}", [str(number)])
            clock.advance(1)

        async def erase(page: int) -> None:
            if page == 0:
                await service.service.archive.erase("d-3", "requested")

        assert await walked(http, "/data?limit=1", erase) == ["3", "2", "1", "0"]

    @pytest.mark.parametrize(
        ("changed", "named"),
        [({"customerId": "c-2"}, "cursor"), ({"offset": "1"}, "offset"), ({"cursor": "x"}, "cursor")],
    )
    async def test_a_cursor_is_good_for_its_own_question_alone(
        self, http: ClientSession, service: Served, changed: dict[str, str], named: str
    ) -> None:
        await keep(service.service, "d-1", ["one", "two"])
        async with http.get("/data?limit=1") as response:
            cursor = URL(str(response.links["next"]["url"])).query["cursor"]

        async with http.get("/data", params={"limit": "1", "cursor": cursor} | changed) as response:
            assert (response.status, (await response.json())["parameter"]) == (400, named)


async def walked(http: ClientSession, url: str, meanwhile: Callable[[int], Awaitable[None]] | None = None) -> list[str]:
    """Return the texts of all pages, following the links."""
    found: list[str] = []
    for page in range(20):
        async with http.get(url) as response:
            assert response.status == 200
            found += [datum["text"] for datum in await response.json()]
            if "next" not in response.links:
                return found
            url = str(response.links["next"]["url"])
        if meanwhile is not None:
            await meanwhile(page)
    raise AssertionError("the links do not end")


class TestSeveralWorkers:
    @pytest.fixture
    def settings(self, unused_tcp_port: int) -> dict[str, int]:
        return {"workers": 2, "port": unused_tcp_port}

    async def test_what_must_wait_in_one_process_is_refused(self, http: ClientSession) -> None:
        for path in ("/data/c-1/d-1", "/consents/d-1"):
            status, problem = await post(http, path, '{"text": "Hi"}')
            assert (status, problem["code"]) == (501, "unsupported")
        assert await get(http, "/data") == []
