"""`consentful request` and `consentful log`: what an officer sees and does at the command line."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from consentful_server import cli
from consentful_server.access_log.chain import Actor
from consentful_server.access_log.store import ShortEntry, Trace
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.access_log import SQLiteAccessLog
from kept import keep

from .refusals import Output, refused

pytestmark = pytest.mark.usefixtures("database")


async def _keep() -> None:
    async with open_service(Settings()) as service:
        await keep(service, "d-1", ["Hi", "Hello"], customer_id="c-1")


async def _disclose(number: int) -> None:
    """Store so many dialogs, and log that somebody read them."""
    async with open_service(Settings()) as service:
        await asyncio.gather(*(keep(service, f"d-{each}") for each in range(number)))
        await service.access_log.write(Actor("science"), "messages.read", dialogs=range(1, number + 1))


@pytest.fixture
def kept() -> None:
    """Store a dialog of the customer c-1."""
    asyncio.run(_keep())


def told(capsys: Output, *arguments: str) -> Any:
    """Return the JSON that a command prints."""
    capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("kept")
def test_an_answer_is_a_file_that_only_its_owner_reads_and_a_request_that_is_complete(
    capsys: Output, somewhere: Path
) -> None:
    assert cli.run(["request", "answer", "answer.json", "--customer", "c-1"]) == 0

    answer = json.loads((somewhere / "answer.json").read_bytes())
    assert [message["text"] for dialog in answer["dialogs"] for message in dialog["messages"]] == ["Hi", "Hello"]
    assert answer["request"]["status"] == "complete"
    assert stat.S_IMODE((somewhere / "answer.json").stat().st_mode) == 0o600
    (listed,) = told(capsys, "request", "list")
    assert (listed["kind"], listed["status"], listed["dialogs"]) == ("access", "complete", 1)
    assert listed["requested_by"] == "command line"


def test_an_answer_overwrites_nothing(capsys: Output, somewhere: Path) -> None:
    (somewhere / "answer.json").write_text("before")

    assert "new file" in refused(capsys, "request", "answer", "answer.json", "--customer", "c-1")

    assert (somewhere / "answer.json").read_text() == "before"
    assert told(capsys, "request", "list") == []


@pytest.mark.usefixtures("kept")
def test_requests_are_listed_by_due_date_and_shown_with_their_report(capsys: Output) -> None:
    cli.run(["request", "answer", "answer.json", "--customer", "c-1", "--kind", "portability"])
    cli.run(["erase", "--customer", "c-1"])

    first, second = told(capsys, "request", "list")
    assert [first["kind"], second["kind"]] == ["portability", "erasure"]
    assert "report" not in second
    assert told(capsys, "request", "list", "--kind", "erasure") == [second]
    assert told(capsys, "request", "list", "--status", "pending") == []
    shown = told(capsys, "request", "show", second["id"])
    assert shown["report"].count(".") == 2
    assert cli.run(["request", "show", second["id"]]) == 0
    assert shown["report"] in capsys.readouterr().out


def test_an_unknown_request_is_told(capsys: Output) -> None:
    assert cli.run(["request", "show", "nothing"]) == 1
    assert "request list" in capsys.readouterr().err


@pytest.mark.usefixtures("kept")
def test_the_log_is_listed_by_customer_dialog_credential_and_time(capsys: Output) -> None:
    cli.run(["request", "answer", "answer.json", "--customer", "c-1"])

    (entry,) = told(capsys, "log", "list", "--customer", "c-1")["items"]
    assert (entry["action"], entry["who"], entry["rows"]) == ("request.access", "command line", 2)
    assert told(capsys, "log", "list", "--dialog", "d-1")["items"] == [entry]
    assert told(capsys, "log", "list", "--customer", "nobody")["items"] == []
    assert told(capsys, "log", "list", "--since", "2100-01-01")["items"] == []
    assert told(capsys, "log", "list", "--action", "request.access")["items"] == [entry]
    found = told(capsys, "log", "list", "--who", "command line", "--limit", "1")
    assert len(found["items"]) == 1
    assert cli.run(["verify", "--head", found["head"]]) == 0
    assert cli.run(["log", "list"]) == 0
    assert "request.access" in capsys.readouterr().out


def test_what_a_stolen_credential_saw(capsys: Output) -> None:
    assert told(capsys, "log", "seen", "--who", "science") == {"items": [], "unfinished": []}


def test_what_a_credential_saw_is_told_by_one_walk_of_the_log(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []
    short = SQLiteAccessLog.short

    async def counted(log: SQLiteAccessLog, trace: Trace, after: int, limit: int) -> list[ShortEntry]:
        walked.append(after)
        return await short(log, trace, after, limit)

    monkeypatch.setattr(SQLiteAccessLog, "short", counted)
    asyncio.run(_disclose(1_100))

    found = told(capsys, "log", "seen", "--who", "science")

    assert len(found["items"]) == 1_100
    assert len(walked) == len(set(walked))


def test_a_request_is_received_extended_answered_and_then_closed(capsys: Output, somewhere: Path) -> None:
    received = told(capsys, "request", "receive", "access", "--reference", "2026/117")
    assert (received["status"], received["reference"]) == ("open", "2026/117")
    extended = told(capsys, "request", "decide", received["id"], "extend", "--extended-for", "complexity")
    assert extended["due_at"] > received["due_at"]
    answer = ["request", "answer", "answer.json", "--customer", "c-1", "--answers", received["id"]]

    assert cli.run(answer) == 0
    assert cli.run(["request", "decide", received["id"], "answer"]) == 0

    assert "2026/117" in capsys.readouterr().out
    assert json.loads((somewhere / "answer.json").read_bytes())["request"]["answers"] == received["id"]
    assert told(capsys, "request", "list", "--status", "open") == []
    assert "not open" in refused(capsys, "request", "decide", received["id"], "withdraw")
