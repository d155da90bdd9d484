"""Art. 30: the record of processing says what the service does, as it is configured and with the notices on offer."""

from pathlib import Path

import msgspec
import pytest

from consentful_server import cli
from consentful_server.consent.notices import Terms, default_notice
from consentful_server.privacy.processing import processing_record
from consentful_server.settings import Settings

GOLDEN = Path(__file__).parent / "processing-record.md"


def test_art_30_the_record_is_the_golden_one_for_the_defaults() -> None:
    assert processing_record(Settings(), default_notice()) == GOLDEN.read_text("utf-8")


def test_art_30_it_follows_the_settings_and_leaves_retired_notices_out() -> None:
    ours = msgspec.structs.replace(default_notice()[0], id="ours", controller="Parcels | Ltd", purposes=("a", "b"))
    retired = msgspec.structs.replace(default_notice()[1], retired_at=1)

    record = processing_record(Settings(idle_timeout=60), [ours, retired])

    assert "after 60 s without a message" in record
    assert "| purposes | a; b |" in record
    assert "| controller | Parcels / Ltd |" in record
    assert "default-1" not in record


def test_art_30_it_tells_what_the_notices_say_of_recipients_transfers_and_special_categories() -> None:
    terms = Terms(
        legal_basis="explicit consent (GDPR art. 9(2)(a))",
        recipients=("Labels Inc.",),
        transfers=("USA (standard contractual clauses)",),
        special_categories=True,
    )
    health = msgspec.structs.replace(default_notice()[0], id="health-1", terms=terms)

    record = processing_record(Settings(), [*default_notice(), health])

    assert (
        "| recipients | holders of a credential with data:read, for the purposes that it is bound to; Labels Inc. |"
        in record
    )
    assert "| third countries | USA (standard contractual clauses) |" in record
    assert (
        "| special categories (art. 9) | consent to them is asked for explicitly (art. 9(2)(a)): health-1 |" in record
    )
    assert "consent (GDPR art. 6(1)(a)); explicit consent (GDPR art. 9(2)(a)); recorded" in record


def test_art_30_a_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]
    assert cli.run(["migrate", *place]) == 0
    capsys.readouterr()

    assert cli.run(["processing-record", *place]) == 0
    assert capsys.readouterr().out.startswith("# Record of processing activities")
