"""`open` comes first, and says what the dialog is (contract §1, rule 1)."""

from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent, Error, Message, Open
from consentful_server.testing import FakeClock, Served
from kept import eventually, texts
from live import Live

from .dialogs import GRANT, as_json, expect_nothing_left


async def test_the_notice_and_the_limits_come_before_the_first_word(live: Live, service: Served) -> None:
    opened = await live.open(dialog_id="d-1")

    assert opened.dialog_id == "d-1"
    assert opened.limits == service.service.limits
    assert opened.notice.text
    assert opened.notice.purposes == ["improve-chatbot"]


async def test_a_dialog_without_an_id_gets_a_uuid7(live: Live) -> None:
    assert UUID((await live.open()).dialog_id).version == 7


async def test_the_notice_speaks_the_dialogs_language(live: Live) -> None:
    assert (await live.open(language="DE-at")).notice.language == "de"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("dialog_id", value) for value in ("", ".", "..", "a/b", "a b", "ä", "d\n", "d" * 201, 7)),
        *(("customer_id", value) for value in ("", "c" * 201, None, 7)),
        *(("language", value) for value in ("", "not a tag", "notalanguage", "en\n")),
        *(("bot", value) for value in ("", "b" * 201, "b\x00")),
        *(("metadata", value) for value in ({"k": 1}, {"": "v"}, ["v"], {"k": "v" * 4096})),
    ],
)
async def test_a_malformed_open_is_refused_by_name_and_may_be_mended(live: Live, field: str, value: object) -> None:
    await live.send_raw(as_json({"type": "open", "customer_id": "c-1"} | {field: value}))

    error = await live.receive(Error)

    assert (error.code, error.detail.partition(":")[0].partition("[")[0]) == ("frame", f"$.{field}")
    await live.open()


@pytest.mark.parametrize(
    "fields",
    [
        {"customer_id": "c" * 200},
        {"dialog_id": "d" * 200},
        {"dialog_id": "A-z0.9_~:"},
        {"metadata": {"k": "v" * 4095}},
        {"bot": "b" * 200},
    ],
)
async def test_what_is_just_within_the_schema_is_taken(live: Live, fields: dict[str, Any]) -> None:
    await live.open(**fields)


@pytest.mark.parametrize("early", [Message(1, "Hi"), GRANT, Consent(granted=False, last_seq=0)])
async def test_open_must_come_first(live: Live, early: Message | Consent) -> None:
    await live.send(early)

    assert (await live.receive(Error)).code == "order"
    await live.open()


async def test_a_second_open_is_refused_and_the_dialog_goes_on(live: Live, http: ClientSession) -> None:
    await live.open("c-1", dialog_id="d-1")
    await live.say("first")

    await live.send(Open("c-2", "d-2"))

    assert (await live.receive(Error)).code == "order"
    await live.say("second")
    assert (await live.grant()).dialog_id == "d-1"
    assert await texts(http) == ["second", "first"]


async def test_a_connection_that_does_not_open_within_ten_seconds_is_closed(
    live: Live, service: Served, clock: FakeClock
) -> None:
    await eventually(lambda: len(service.service.registry) == 1)
    clock.advance(9.9)
    service.service.registry.tick(clock.monotonic())
    await live.send(GRANT)
    assert (await live.receive(Error)).code == "order"  # still there, and bad frames gain no time

    clock.advance(0.1)
    service.service.registry.tick(clock.monotonic())

    assert await live.closed() == 4512
    await expect_nothing_left(service)
