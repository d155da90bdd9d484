"""Commands where there is no database: they say so and create nothing, because success on nothing misleads."""

import asyncio
from pathlib import Path

import pytest

from consentful_server import cli, testing
from consentful_server.stores.sqlite.connection import connect
from kept import keep

from .refusals import Output

NEEDING_A_DATABASE = (
    ["erase", "--customer", "c-42"],
    ["erase", "--dialog", "d-1"],
    ["purge"],
    ["purge", "--dry-run"],
    ["verify", "--dialogs"],
    ["verify", "--log"],
    ["verify", "--disk", "a marker of some length"],
    ["verify", "receipt.jws"],
    ["processing-record"],
    ["backup", "copies"],
    ["keys", "list"],
    ["keys", "create", "--name", "shop", "--scope", "data:read"],
    ["keys", "revoke", "012345678901"],
    ["notice", "list"],
    ["notice", "show", "ffff"],
    ["notice", "retire", "default-1"],
    ["roots", "list"],
    ["roots", "rotate"],
    ["roots", "rotate", "--signing"],
)


@pytest.mark.parametrize("arguments", NEEDING_A_DATABASE, ids=" ".join)
def test_a_command_without_a_database_says_so_and_creates_nothing(
    somewhere: Path, capsys: Output, arguments: list[str]
) -> None:
    (somewhere / "receipt.jws").write_text("a.b.c")

    status = cli.run(arguments)

    said = capsys.readouterr()
    assert status == 2
    assert "there is no database at data/consentful.db" in said.err
    assert "`consentful serve` or `consentful migrate`" in said.err
    assert said.out == ""
    assert [path.name for path in somewhere.iterdir()] == ["receipt.jws"]


def test_the_setting_that_named_the_database_is_named(capsys: Output) -> None:
    assert cli.run(["keys", "list", "--database", "sqlite:///elsewhere/x.db"]) == 2

    assert "database: there is no database at elsewhere/x.db" in capsys.readouterr().err


def test_migrate_creates_the_database_and_its_keys(somewhere: Path, capsys: Output) -> None:
    assert cli.run(["migrate"]) == 0
    assert "0001" in capsys.readouterr().out

    before = sorted(path.name for path in (somewhere / "keys").iterdir())
    assert {"index.key", "signing.pem"} <= set(before)
    assert cli.run(["keys", "list"]) == 0
    assert sorted(path.name for path in (somewhere / "keys").iterdir()) == before


def test_migrate_does_not_need_the_keys_of_an_existing_database(somewhere: Path, capsys: Output) -> None:
    assert cli.run(["migrate"]) == 0

    assert cli.run(["migrate", "--keys-dir", "elsewhere"]) == 0

    assert not (somewhere / "elsewhere").exists()
    assert "up to date" in capsys.readouterr().out


def test_migrate_into_a_folder_with_the_keys_in_it_is_refused(somewhere: Path, capsys: Output) -> None:
    assert cli.run(["migrate", "--keys-dir", "data/keys"]) == 2

    assert "keys_dir" in capsys.readouterr().err
    assert not list(somewhere.iterdir())


@pytest.mark.parametrize("whom", [["--customer", "nobody-4711"], ["--dialog", "d-nobody"]])
def test_erasing_somebody_unknown_says_so_and_fails(capsys: Output, whom: list[str]) -> None:
    cli.run(["migrate"])
    capsys.readouterr()

    assert cli.run(["erase", *whom]) == 1

    said = capsys.readouterr()
    assert "Nothing was erased" in said.err
    assert "Check the id" in said.err
    assert whom[1] not in said.err + said.out
    assert "report" not in said.out


async def test_an_erasure_prints_the_whole_id_of_the_request_and_its_report(
    somewhere: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    async with testing.serve(folder=somewhere) as served:
        await keep(served.service, "d-1")

        assert await asyncio.to_thread(cli.run, ["erase", "--dialog", "d-1"]) == 0

    with connect(somewhere / "data" / "consentful.db") as db:
        ((request,),) = db.execute("SELECT id FROM privacy_requests").fetchall()
    said = capsys.readouterr()
    assert request in said.err
    Path("report.jws").write_text(said.out)  # as a shell redirects it
    assert await asyncio.to_thread(cli.run, ["verify", "report.jws"]) == 0
    assert capsys.readouterr().out.startswith("{")


def test_a_dry_run_says_what_would_be_done_or_that_nothing_is(capsys: Output, somewhere: Path) -> None:
    assert cli.run(["migrate", "--dry-run"]) == 0
    assert capsys.readouterr().out == "There is no database at data/consentful.db; migrate creates one.\n"
    assert not list(somewhere.iterdir())

    assert cli.run(["migrate"]) == 0
    capsys.readouterr()
    assert cli.run(["migrate", "--dry-run"]) == 0
    assert capsys.readouterr().out == "The schema is up to date.\n"
