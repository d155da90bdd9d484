"""A dialog that is said again: the same is the same, and what was erased stays erased (contract §1, rule 6)."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent, Error, Message, Open, Opened, Stored
from consentful_server.consent.notices import Wording
from consentful_server.testing import FakeClock, Served
from faulty_store import HeldStore
from kept import get, texts
from live import Live

from .dialogs import GRANT, claims, replay


async def test_a_lost_reply_costs_nothing(dial: Callable[..., Any], http: ClientSession, clock: FakeClock) -> None:
    first = await (await replay(dial, "one", "two")).grant()
    clock.advance(5)

    second = await (await replay(dial, "one", "two")).grant()

    assert second == first
    assert await texts(http) == ["two", "one"]


async def test_content_is_the_same_after_normalising(dial: Callable[..., Any]) -> None:
    first = await (await replay(dial, "one", language="EN-us")).grant()

    assert await (await replay(dial, "one", language="en-US")).grant() == first


async def test_a_concurrent_duplicate_waits_for_the_first(
    dial: Callable[..., Any], service: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HeldStore(service, monkeypatch)
    older, newer = await replay(dial, "one"), await dial()
    await older.send(GRANT)
    await store.reached.wait()

    await newer.send(Open("c-1", "d-1"))
    await newer.send(Message(1, "one"))
    await newer.send(GRANT)
    store.let_go.set()

    stored = await older.receive(Stored)
    assert await older.closed() == 1000
    await newer.receive(Opened)
    assert await newer.receive(Stored) == stored
    assert await texts(http) == ["one"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ["two"]),
        ({}, ["one", "two"]),
        ({"customer_id": "c-2"}, ["one"]),
        ({"language": "de"}, ["one"]),
    ],
)
async def test_the_same_id_with_other_content_is_a_conflict(
    dial: Callable[..., Any], http: ClientSession, fields: dict[str, str], said: list[str]
) -> None:
    await (await replay(dial, "one")).grant()
    other = await replay(dial, *said, **fields)

    await other.send(Consent(granted=True, last_seq=len(said)))

    assert (await other.receive(Error)).code == "conflict"
    assert await other.closed() == 4509
    assert await texts(http) == ["one"]


async def test_another_role_is_other_content(dial: Callable[..., Any]) -> None:
    await (await replay(dial, "one")).grant()
    other = await dial()
    await other.open(dialog_id="d-1")
    await other.say("one", role="bot")

    await other.send(GRANT)

    assert (await other.receive(Error)).code == "conflict"


async def test_narrower_purposes_narrow(dial: Callable[..., Any], http: ClientSession, two_purposes: Wording) -> None:
    wide = await (await replay(dial, "one")).grant()

    narrow = await (await replay(dial, "one")).grant(purposes=["improve"])

    assert (narrow.withdrawal_code, narrow.stored_at) == (wide.withdrawal_code, wide.stored_at)
    assert claims(narrow)["purposes"] == ["improve"]
    assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["improve"]
    assert await texts(http, purpose="research") == []
    assert await texts(http, purpose=two_purposes.purposes[0]) == ["one"]


@pytest.mark.parametrize("fields", [{"bot": "other"}, {"language": "de"}, {"metadata": {"k": "v"}}, {}])
async def test_what_was_narrowed_still_opens_whatever_else_the_replay_said(
    dial: Callable[..., Any],
    http: ClientSession,
    clock: FakeClock,
    two_purposes: Wording,
    fields: dict[str, Any],
) -> None:
    first = await dial()
    await first.open(dialog_id="d-1", language="en", bot="shop")
    await first.say("one", language="en")
    await first.grant()
    before = await get(http, "/v1/dialogs/d-1")
    clock.advance(86_400)

    again = await dial()
    await again.open(dialog_id="d-1", **({"language": "en", "bot": "shop"} | fields))
    await again.say("one", language="en")
    await again.grant(purposes=["improve"])

    after = await get(http, "/v1/dialogs/d-1")
    assert after["purposes"] == ["improve"]
    assert (after["expires_at"], after["bot"]) == (before["expires_at"], "shop"), "narrower, and nothing else"
    assert await texts(http) == ["one"]


async def test_wider_purposes_are_a_conflict(
    dial: Callable[..., Any], http: ClientSession, two_purposes: Wording
) -> None:
    await (await replay(dial, "one")).grant(purposes=["improve"])
    wider = await replay(dial, "one")

    await wider.send(Consent(granted=True, last_seq=1, purposes=list(two_purposes.purposes)))

    assert (await wider.receive(Error)).code == "conflict"
    assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["improve"]


async def test_a_time_that_is_none_in_utc_is_refused(live: Live, http: ClientSession) -> None:
    await live.open(dialog_id="d-1")
    await live.send_raw(b'{"type":"message","seq":1,"text":"x","sent_at":"0001-01-01T00:00:00+14:00"}')

    refused = await live.receive(Error)
    await live.say("one")
    await live.grant()

    assert (refused.code, "sent_at" in refused.detail) == ("frame", True)
    assert await texts(http) == ["one"]


async def test_an_erased_id_cannot_come_back(dial: Callable[..., Any], http: ClientSession, service: Served) -> None:
    await (await replay(dial, "one")).grant()
    await service.service.archive.erase("d-1", "requested")
    again = await replay(dial, "one")

    await again.send(GRANT)

    assert (await again.receive(Error)).code == "erased"
    assert await again.closed() == 4510
    assert await texts(http) == []


@pytest.mark.parametrize("said", [[], ["one"], ["other", "words"]])
async def test_a_no_to_a_stored_dialog_withdraws_it_whatever_was_replayed(
    dial: Callable[..., Any], http: ClientSession, said: list[str]
) -> None:
    await (await replay(dial, "one")).grant()

    await (await replay(dial, *said)).decline()

    assert await texts(http) == []
    assert (await http.get("/v1/dialogs/d-1")).status == 410


async def test_another_customers_no_withdraws_nothing(dial: Callable[..., Any], http: ClientSession) -> None:
    await (await replay(dial, "one")).grant()

    await (await replay(dial, customer_id="c-2")).decline(retract=True)

    assert await texts(http) == ["one"]


async def test_a_retracted_grant_cannot_come_in_later(dial: Callable[..., Any], http: ClientSession) -> None:
    await (await replay(dial, "one")).decline(retract=True)
    late = await replay(dial, "one")

    await late.send(GRANT)

    assert (await late.receive(Error)).code == "erased"
    assert await texts(http) == []


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
async def test_a_chatbot_cannot_lock_another_out_of_an_id_by_retracting_it(
    dial: Callable[..., Any], http: ClientSession, service: Served
) -> None:
    keys = [await service.create_key("dialogs:write", name=name) for name in ("mine", "theirs")]
    mine, theirs = [{"token": key} for key in keys]
    await (await replay(dial, "one", **theirs)).decline(retract=True)

    await (await replay(dial, "one", **mine)).grant()

    assert await texts(http, token=await service.create_key(name="reader")) == ["one"]


async def test_a_plain_no_leaves_the_id_free(dial: Callable[..., Any], http: ClientSession) -> None:
    await (await replay(dial, "one")).decline()

    await (await replay(dial, "two")).grant()

    assert await texts(http) == ["two"]


async def test_declining_changes_nothing_for_the_next_dialog(dial: Callable[..., Any], http: ClientSession) -> None:
    await (await replay(dial, "one")).decline()

    await (await replay(dial, "two", dialog_id="d-2")).grant()

    assert await texts(http) == ["two"]
