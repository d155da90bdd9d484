"""Notices: an operator's own wording is shown, agreed to, and can be printed again years later (art. 7(1), 13)."""

import re
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent, Error, Opened, Stored
from consentful_server import cli, testing
from consentful_server.consent.notices import default_notice, read_notice
from consentful_server.errors import BadRequest, Conflict
from consentful_server.testing import FakeClock
from live import connect
from receipts import verified

OURS = """
id = "parcels-2"
controller = "Parcels Ltd"
contact = "privacy@parcels.example"
purposes = ["improve-chatbot", "train-models"]
retention_days = 90

recipients = ["Annotators Ltd"]
jurisdiction = "NL"
special_categories = true

[text]
EN = "May Parcels Ltd keep this conversation for 90 days?"
nl = "Mag Parcels BV dit gesprek 90 dagen bewaren?"
"""

HASHES = {"en": "af24f91672872524", "de": "cea85469d331f3de", "fr": "b9d5ccb46ff631fd", "es": "a0c62a613a311cd4"}


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Create a database, and return the arguments that name it."""
    arguments = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]
    assert cli.run(["migrate", *arguments]) == 0
    capsys.readouterr()
    return arguments


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    file = tmp_path / "parcels.toml"
    file.write_text(OURS)
    return file


async def offered(folder: Path, language: str) -> Opened:
    async with testing.serve(folder=folder) as service, ClientSession() as http, connect(http, service.url) as live:
        return await live.open(language=language)


def test_the_shipped_notice_never_changes_under_its_id() -> None:
    hashes = {wording.language: wording.sha256[:16] for wording in default_notice()}

    assert {wording.id for wording in default_notice()} == {"default-1"}
    assert hashes == HASHES


@pytest.fixture
def added(place: list[str], ours: Path) -> None:
    assert cli.run(["notice", "add", str(ours), *place]) == 0


@pytest.mark.usefixtures("added")
async def test_an_operators_notice_is_shown_from_then_on_in_the_dialogs_language(tmp_path: Path) -> None:
    english = await offered(tmp_path, "en-GB")
    dutch = await offered(tmp_path, "nl")

    assert (english.notice.id, english.notice.purposes) == ("parcels-2", ["improve-chatbot", "train-models"])
    assert dutch.notice.text.startswith("Mag Parcels BV")


async def test_a_dialog_that_was_shown_a_notice_may_agree_to_it_after_it_was_replaced(tmp_path: Path) -> None:
    clock = FakeClock()
    async with testing.serve(folder=tmp_path, clock=clock, max_duration=3600) as served, ClientSession() as http:
        service = served.service
        async with connect(http, served.url) as live:
            await live.open()
            await live.say("Hi")
            await service.store.notices.add(read_notice(OURS.encode()))
            await service.store.notices.retire("default-1")
            await service.offer.refresh()
            assert isinstance(await live.grant(notice="default-1"), Stored)

        clock.advance(3601)
        await service.offer.refresh()
        async with connect(http, served.url) as live:
            await live.open()
            await live.say("Hi")
            await live.send(Consent(True, 1, notice="default-1"))
            assert (await live.receive(Error)).code == "notice"


def test_what_was_shown_once_is_never_changed(place: list[str], ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["notice", "add", str(ours), *place]) == 0
    assert cli.run(["notice", "add", str(ours), *place]) == 0
    ours.write_text(OURS.replace("90 days", "99 days"))

    assert cli.run(["notice", "add", str(ours), *place]) == 2
    assert "use a new id for the new wording" in capsys.readouterr().err


def test_a_wording_can_be_printed_again_from_its_hash(
    place: list[str], ours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["notice", "add", str(ours), *place])
    cli.run(["notice", "retire", "parcels-2", *place])
    wording = read_notice(OURS.encode())[0]
    capsys.readouterr()

    assert cli.run(["notice", "show", wording.sha256, *place]) == 0
    assert capsys.readouterr().out.strip() == wording.text
    assert cli.run(["notice", "show", "ffff", *place]) == 1


def test_the_last_notice_on_offer_is_not_retired(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["notice", "retire", "default-1", *place]) == 2
    assert "add another notice first" in capsys.readouterr().err
    assert cli.run(["notice", "retire", "unknown", *place]) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("id =", "name ="), "unknown field"),
        (('"train-models"', '"train models"'), "purposes"),
        (("retention_days = 90", "retention_days = 0"), "retention_days"),
        (("nl =", "notalanguage ="), "notalanguage"),
        (("nl =", "en ="), "two of its languages"),
        (("[text]", "[texts]"), "unknown field"),
        (('purposes = ["improve-chatbot", "train-models"]', "purposes = []"), "purposes"),
        (("[text]", "["), "notice"),
        (('"NL"', '"Holland"'), "jurisdiction"),
    ],
)
def test_a_malformed_notice_is_refused_and_told_why(change: tuple[str, str], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_notice(OURS.replace(*change).encode())


@pytest.mark.usefixtures("added")
async def test_art_13_controller_purposes_basis_recipients_retention_rights_and_complaint_come_before_the_first_message(
    tmp_path: Path,
) -> None:
    opened = await offered(tmp_path, "en")

    terms = opened.notice.terms
    assert terms is not None
    assert (terms.controller, terms.contact) == ("Parcels Ltd", "privacy@parcels.example")
    assert opened.notice.purposes == ["improve-chatbot", "train-models"]
    assert (terms.recipients, terms.transfers, terms.retention_days) == (("Annotators Ltd",), (), 90)
    assert {"access", "rectification", "erasure", "restriction", "portability", "withdrawal"} <= set(terms.rights)
    assert all((terms.legal_basis, terms.complaint, terms.withdraw))


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize("given_by", ["self", "representative"])
async def test_art_8_and_9_the_receipt_says_who_agreed_and_whether_special_categories_were_asked_for(
    tmp_path: Path, given_by: Literal["self", "representative"]
) -> None:
    claims = await receipt_of(tmp_path, given_by=given_by)

    assert (claims["given_by"], claims["special_categories"]) == (given_by, True)


@pytest.mark.usefixtures("added")
async def test_art_7_1_the_receipt_has_what_ts_27560_and_kantara_ask_for(tmp_path: Path) -> None:
    claims = await receipt_of(tmp_path)

    wording = read_notice(OURS.encode())[0]
    assert claims["schema"] == "ISO/IEC TS 27560:2023"
    assert claims["controller"] == {"name": "Parcels Ltd", "contact": "privacy@parcels.example"}
    assert re.fullmatch("cus_[a-z2-7]{26}", claims["sub"])
    assert claims["notice"] == {"id": "parcels-2", "language": "en", "sha256": wording.sha256}
    assert claims["purposes"] == ["improve-chatbot", "train-models"]
    assert (claims["method"], claims["consent_type"], claims["jurisdiction"]) == ("websocket", "explicit", "NL")
    assert claims["retention_until"] - claims["iat"] == 90 * 24 * 3600
    assert claims["messages"] == 1
    assert len(bytes.fromhex(claims["content_hmac_sha256"])) == 32
    assert claims["recipients"] == ["Annotators Ltd"]
    assert all(claims[field] for field in ("jti", "legal_basis", "data_categories", "rights", "complaint", "withdraw"))


async def receipt_of(folder: Path, **about: Any) -> dict[str, Any]:
    """Return what the receipt of a granted dialog states."""
    async with testing.serve(folder=folder) as service, ClientSession() as http, connect(http, service.url) as live:
        await live.open()
        await live.say("Hi")
        stored = await live.grant(**about)
        return verified(stored.receipt, service.service.signer.jwk)


async def test_a_notice_of_the_same_words_under_other_terms_is_another_notice(tmp_path: Path) -> None:
    async with testing.serve(folder=tmp_path) as served:
        await served.service.offer.add(read_notice(OURS.encode()))
        await served.service.offer.add(read_notice(OURS.encode()))
        with pytest.raises(Conflict):
            await served.service.offer.add(read_notice(OURS.replace("Annotators Ltd", "Anybody").encode()))
