"""`consentful doctor`: what is well, what is not, and what it says to do; it creates nothing where there is nothing."""

import json
import os
import re
import resource
import shutil
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from certificates import make_pair
from consentful_server import cli
from consentful_server.commands import doctor
from consentful_server.operations import machine
from consentful_server.operations.findings import good
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.requests import SQLiteRequests
from consentful_server.testing import FakeClock
from logs import as_it_was

from .refusals import Output

SUBJECTS = {
    *("settings", "TLS", "swap", "core dumps", "open files", "memory", "clock"),
    *("data folder", "data disk", "data fsync", "keys folder", "keys disk", "keys fsync"),
    *("database", "ledger", "retention", "master key", "privacy requests"),
}
Patch = pytest.MonkeyPatch


def examined(capsys: Output, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status, and what was found by subject."""
    capsys.readouterr()
    status = cli.run(["doctor", "--json", *arguments])
    return status, {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)}


def have_files(patch: Patch, limit: int) -> None:
    def limits(_of: int) -> tuple[int, int]:
        return limit, limit

    patch.setattr(resource, "getrlimit", limits)


def have_space(patch: Patch, free: int) -> None:
    def usage(_folder: Path) -> SimpleNamespace:
        return SimpleNamespace(total=10**12, free=free)

    patch.setattr(shutil, "disk_usage", usage)


@pytest.fixture(autouse=True)
def _well(monkeypatch: Patch) -> Generator[None]:
    """Whatever this machine is like, it is well."""
    monkeypatch.setattr(machine, "has_swap", lambda: False)
    have_files(monkeypatch, 65_536)
    have_space(monkeypatch, 10**12 // 2)
    monkeypatch.setattr(machine, "clock", lambda: good("clock", "synchronised"))
    monkeypatch.setattr(machine, "_SLOW_S", 600)
    with as_it_was():
        yield


@pytest.mark.usefixtures("database")
def test_where_all_is_well_nothing_is_advised(capsys: Output) -> None:
    status, found = examined(capsys)

    assert status == 0
    assert set(found) == SUBJECTS
    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert {finding["advice"] for finding in found.values()} == {""}
    assert found["database"]["found"].startswith("SQLite 3.")


def test_the_page_says_what_it_looks_at() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("| it looks at |")[2].partition("\n\n")[0]

    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {subject for row in rows for subject in re.findall(r"`(.+?)`", row)} == SUBJECTS | {
        "identity provider",
        "backup",
    }


def test_where_there_is_nothing_it_creates_nothing(somewhere: Path, capsys: Output) -> None:
    status, found = examined(capsys)

    assert (status, found["database"]["state"], "ledger" in found) == (0, "warning", False)
    assert list(somewhere.iterdir()) == []


@pytest.mark.usefixtures("database")
def test_for_people_it_is_a_table(capsys: Output) -> None:
    assert cli.run(["doctor", "--host", "0.0.0.0"]) == 0

    said = capsys.readouterr().out
    assert "│ TLS " in said
    assert "set --tls-cert and --tls-key" in said


def expose(folder: Path, _patch: Patch) -> None:
    (folder / "keys" / "index.key").chmod(0o644)


def lose_ledger(folder: Path, _patch: Patch) -> None:
    (folder / "keys" / "erasures.ledger").unlink()


def break_database(folder: Path, _patch: Patch) -> None:
    (folder / "data" / "consentful.db").write_bytes(b"no database" * 1000)


def turn_swap_on(_folder: Path, patch: Patch) -> None:
    patch.setattr(machine, "has_swap", lambda: True)


def open_few_files(_folder: Path, patch: Patch) -> None:
    have_files(patch, 1024)


def fill_disk(_folder: Path, patch: Patch) -> None:
    have_space(patch, 10**6)


def nearly_fill_disk(_folder: Path, patch: Patch) -> None:
    have_space(patch, 10**10)


def slow_disk(_folder: Path, patch: Patch) -> None:
    patch.setattr(machine, "_SLOW_S", 0)


def owe(_folder: Path, patch: Patch) -> None:
    async def pending(_store: Any) -> list[Any]:
        return [SimpleNamespace(due=datetime.now(UTC) - timedelta(days=1))]

    patch.setattr(SQLiteRequests, "pending", pending)


def nothing(_folder: Path, _patch: Patch) -> None: ...


HARM: list[tuple[Callable[[Path, Patch], None], list[str], str, str, str]] = [
    (expose, [], "keys folder", "problem", "chmod -R go= keys"),
    (expose, [], "keys", "problem", "a start is refused"),
    (lose_ledger, [], "keys", "problem", "a start is refused"),
    (break_database, [], "database", "problem", "a start is refused"),
    (turn_swap_on, [], "swap", "warning", "swapoff"),
    (open_few_files, [], "open files", "warning", "LimitNOFILE"),
    (fill_disk, [], "data disk", "problem", "no dialog can be stored"),
    (nearly_fill_disk, [], "keys disk", "warning", "before it is full"),
    (slow_disk, [], "data fsync", "warning", "faster disk"),
    (owe, [], "privacy requests", "problem", "art. 12(3)"),
    (nothing, ["--memory", str(2**52)], "memory", "problem", "lower --memory"),
    (nothing, ["--static-dir", "data"], "settings", "problem", "a start is refused"),
    (nothing, ["--host", "0.0.0.0"], "TLS", "warning", "--tls-cert"),
    (nothing, ["--backups", "backups"], "backup", "problem", "consentful backup backups"),
    (
        nothing,
        ["--auth", "oidc", "--issuer", "http://127.0.0.1:9", "--audience", "a"],
        "identity provider",
        "problem",
        "--issuer",
    ),
]


@pytest.mark.parametrize(
    ("harm", "arguments", "subject", "state", "advice"), HARM, ids=[f"{row[0].__name__} {row[2]}" for row in HARM]
)
def test_each_harm_is_found_with_what_to_do(
    database: Path,
    capsys: Output,
    monkeypatch: Patch,
    harm: Callable[[Path, Patch], None],
    arguments: list[str],
    subject: str,
    state: str,
    advice: str,
) -> None:
    harm(database, monkeypatch)

    status, found = examined(capsys, *arguments)

    assert found[subject]["state"] == state
    assert advice in found[subject]["advice"]
    assert status == int(any(finding["state"] == "problem" for finding in found.values()))


@pytest.mark.parametrize(("days", "state"), [(0, "warning"), (2, "problem")])
def test_a_certificate_is_told_before_and_after_it_ends(
    database: Path, capsys: Output, monkeypatch: Patch, days: int, state: str
) -> None:
    pair = make_pair(database)
    monkeypatch.setattr(doctor, "SystemClock", lambda: FakeClock(datetime.now(UTC) + timedelta(days=days)))

    _, found = examined(capsys, "--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))

    assert found["TLS"]["state"] == state
    assert "renew" in found["TLS"]["advice"]


@pytest.mark.usefixtures("database")
def test_a_wrong_clock_and_an_old_epoch_are_told(capsys: Output, monkeypatch: Patch) -> None:
    assert cli.run(["purge"]) == 0
    monkeypatch.setattr(doctor, "SystemClock", lambda: FakeClock(datetime.now(UTC) + timedelta(days=30)))

    status, found = examined(capsys)

    assert status == 1
    assert "--trust-clock" in found["retention"]["advice"]
    assert "roots rotate" in found["master key"]["advice"]


def test_a_backup_is_old_after_an_epoch(database: Path, capsys: Output, monkeypatch: Patch) -> None:
    assert cli.run(["backup", "backups"]) == 0
    status, found = examined(capsys, "--backups", "backups")
    assert (status, found["backup"]["state"]) == (0, "ok")

    monkeypatch.setattr(doctor, "SystemClock", lambda: FakeClock(datetime.now(UTC) + timedelta(days=8)))
    _, found = examined(capsys, "--backups", "backups")
    assert found["backup"]["state"] == "problem"

    shutil.rmtree(database / "backups" / "keys")
    _, found = examined(capsys, "--backups", "backups")
    assert found["backup"]["found"] == "none in backups with data and keys"


def test_a_disk_that_fails_is_told(database: Path, monkeypatch: Patch) -> None:
    def fail(_file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)

    finding = machine.durability("data", database / "data")

    assert (finding.state, finding.found) == ("problem", "failed (Input/output error)")


@pytest.mark.parametrize(
    ("meminfo", "cgroup", "state"),
    [
        ("MemTotal: 8000000 kB\n", "max\n", "ok"),
        ("MemTotal: 8000000 kB\n", "1000000000\n", "problem"),
        ("MemTotal: 1000000 kB\n", "max\n", "problem"),
        ("", "", "ok"),
    ],
)
def test_memory_is_what_the_machine_or_its_container_has(tmp_path: Path, meminfo: str, cgroup: str, state: str) -> None:
    (tmp_path / "meminfo").write_text(meminfo)
    (tmp_path / "max").write_text(cgroup)

    assert machine.memory(Settings(), tmp_path / "meminfo", tmp_path / "max").state == state


def test_a_database_server_that_is_away_is_one_finding_of_many(unused_tcp_port: int, capsys: Output) -> None:
    status, found = examined(capsys, "--database", f"postgresql://consentful@127.0.0.1:{unused_tcp_port}/consentful")

    assert status == 1
    assert found["unreachable"]["state"] == "problem"
    assert f"127.0.0.1:{unused_tcp_port}" in found["unreachable"]["found"]
    assert {"settings", "TLS", "memory", "clock", "open files"} < set(found)
