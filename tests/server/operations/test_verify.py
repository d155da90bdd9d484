"""`consentful verify`: a receipt is held against the stored words, and words are looked for in every file."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from consentful.wire import Consent, Stored
from consentful_server.access_log.chain import OPERATOR
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadRequest
from consentful_server.keys.jwks import BadReceipt
from consentful_server.operations.verify import check_receipt, search
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect
from sealed import CATALOGUE, spoken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with open_service(settings) as opened:
        yield opened


async def keep(service: Service, dialog_id: str = "d-1", text: str = "Hi") -> Stored:
    dialog = spoken(dialog_id, (text, "Hello"), language="EN")
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    return await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def test_a_receipt_matches_the_words_that_were_consented_to(service: Service) -> None:
    stored = await keep(service)

    verdict = await check_receipt(stored.receipt + "\n", service)

    assert (verdict.content, verdict.is_good, verdict.claims["jti"]) == ("matches", True, "d-1")


async def test_a_role_that_was_edited_in_the_store_is_found(service: Service, settings: Settings) -> None:
    stored = await keep(service)
    database = connect(settings.data_dir / "consentful.db")
    database.execute("UPDATE messages SET role = 'agent' WHERE seq = 2")
    database.close()

    verdict = await check_receipt(stored.receipt, service)

    assert (verdict.content, verdict.is_good) == ("differs", False)


async def test_a_receipt_outlives_its_dialog(service: Service) -> None:
    stored = await keep(service)
    await service.archive.erase("d-1", "withdrawn")

    assert (await check_receipt(stored.receipt, service)).content == "erased"


async def test_a_receipt_of_a_dialog_that_is_not_here_says_so(service: Service) -> None:
    stored = await keep(service)
    claims = (await check_receipt(stored.receipt, service)).claims

    elsewhere = service.signer.sign({**claims, "jti": "elsewhere"})

    assert (await check_receipt(elsewhere, service)).content == "not here"


async def test_art_17_a_report_of_an_erasure_is_verified_like_a_receipt(service: Service) -> None:
    await keep(service)
    report = (await service.privacy_requests.erase_dialog("d-1", by=OPERATOR)).report
    assert report is not None

    verdict = await check_receipt(report, service)

    assert (verdict.content, verdict.is_good, verdict.claims["dialogs"]) == ("erased", True, ["d-1"])


async def test_a_report_of_a_dialog_that_is_stored_is_contradicted(service: Service) -> None:
    await keep(service)
    claims = {"jti": "r-1", "kind": "erasure", "dialogs": ["d-1", "d-2"]}

    verdict = await check_receipt(service.signer.sign(claims), service)

    assert (verdict.content, verdict.is_good) == ("differs", False)
    assert "1 of the 2" in verdict.detail


async def test_a_forged_or_malformed_receipt_is_refused(service: Service) -> None:
    header, payload, signature = (await keep(service)).receipt.split(".")
    for receipt in (
        "",
        "x",
        f"{header}.{payload}.",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        service.signer.sign({}),
    ):
        with pytest.raises(BadReceipt):
            await check_receipt(receipt, service)


async def test_words_are_nowhere_on_the_disk_and_the_search_would_find_them(
    service: Service, settings: Settings
) -> None:
    await keep(service, text="the marker 4711")
    folders = [settings.data_dir, settings.keys_dir]

    assert list(search(folders, "the marker 4711")) == []
    assert list(search(folders, json.dumps(["improve", "research"]))) != []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_marker_is_found_across_the_borders_of_blocks(tmp_path: Path, encoding: str) -> None:
    for shift in range(0, 40, 7):
        (tmp_path / "file").write_bytes(b"." * (1024 * 1024 - shift) + "the marker".encode(encoding) + b"." * 99)
        assert list(search([tmp_path], "the marker")) == [tmp_path / "file"]


def test_a_marker_that_would_be_found_by_chance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        list(search([tmp_path], "a"))
