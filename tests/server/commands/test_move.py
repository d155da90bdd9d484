"""`consentful move`, as an operator uses it."""

import asyncio
import re
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from consentful_server import cli
from consentful_server.commands import move
from consentful_server.keys.vault import SHREDDED
from consentful_server.stores.sqlite.connection import connect
from places import PAIRS, Kind, content, fill, url_of

from .refusals import Output, refused


def two(origin: Kind, target: Kind, folder: Path) -> tuple[str, str]:
    """Return the URLs of a database with dialogs, and of an empty one."""
    here, there = asyncio.run(url_of(origin, folder, "a")), asyncio.run(url_of(target, folder, "b"))
    asyncio.run(fill(here, folder, 5))
    return here, there


@pytest.mark.parametrize(("origin", "target"), PAIRS[:2])
def test_a_deployment_moves_in_two_commands(origin: Kind, target: Kind, somewhere: Path, capsys: Output) -> None:
    here, there = two(origin, target, somewhere)

    assert cli.run(["move", here, there]) == 0
    said = capsys.readouterr()
    assert "is still in use. To complete the move, add --finish." in said.out
    assert "dialogs: 5 of 5" in said.err.splitlines()
    assert cli.run(["move", here, there, "--finish"]) == 0

    said = capsys.readouterr()
    assert re.search(r"^\d+ rows in \d+ tables are the same in both\.$", said.out, re.M)
    assert "5 dialogs and their receipts verified, and 6 entries of the access log." in said.out
    assert "Destroyed 5 dialog keys" in said.out
    assert "verifying: 5 of 5" in said.err.splitlines()
    assert {wrapped for _, wrapped in asyncio.run(content(here))["dialog_keys"]} == {SHREDDED}
    assert "was moved to" in refused(capsys, "verify", "--dialogs", "--database", here)
    assert cli.run(["verify", "--dialogs", "--database", there]) == 0
    assert "5 dialogs and their receipts verified" in capsys.readouterr().out


def test_a_move_that_is_over_is_verified_again(somewhere: Path, capsys: Output) -> None:
    here, there = two("sqlite", "sqlite", somewhere)
    assert cli.run(["move", here, there, "--finish"]) == 0
    capsys.readouterr()

    assert cli.run(["move", here, there, "--finish"]) == 0

    said = capsys.readouterr().out
    assert "5 dialogs and their receipts verified" in said
    assert "Destroyed 0 dialog keys" in said


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ("UPDATE seals SET texts = zeroblob(99) WHERE dialog = 2", "Damaged: d-2"),
        ("UPDATE dialogs SET receipt = (SELECT receipt FROM dialogs WHERE id = 1) WHERE id = 2", "Damaged: d-2"),
        ("UPDATE access_head SET seal = zeroblob(32)", "The access log was altered"),
    ],
)
def test_the_keys_of_the_origin_stay_where_something_is_damaged(
    altered: str, said: str, somewhere: Path, capsys: Output
) -> None:
    here, there = two("sqlite", "sqlite", somewhere)
    with closing(connect(Path(here.removeprefix("sqlite:///")))) as db:
        db.execute(altered)

    assert cli.run(["move", here, there, "--finish"]) == 1

    assert said in (shown := capsys.readouterr().err)
    assert "were not destroyed" in shown
    assert SHREDDED not in {wrapped for _, wrapped in asyncio.run(content(here))["dialog_keys"]}


def test_what_cannot_be_moved_is_refused(somewhere: Path, capsys: Output) -> None:
    here, there = two("sqlite", "sqlite", somewhere)

    assert "there is no database" in refused(capsys, "move", "sqlite:///nowhere.db", there)
    assert "is both places" in refused(capsys, "move", here, here)
    assert "must be sqlite:///" in refused(capsys, "move", here, "mysql://x")
    assert "wrapping-*.key" in refused(capsys, "move", here, there, "--keys-dir", "elsewhere")
    assert "must be outside" in refused(capsys, "move", here, f"sqlite:///{somewhere}/keys/../keys/b.db")
    assert "is not an SQLite database" in refused(capsys, "move", here, f"sqlite:///{__file__}")


def test_a_terminal_shows_a_bar_for_each_step() -> None:
    console = Console(force_terminal=True, record=True, width=100)

    with move.shown(console) as tell:
        tell("dialogs", 500, 1_000)
        tell("verifying", 3, 0)
        tell("dialogs", 1_000, 1_000)

    assert "100%" in (text := console.export_text())
    assert "dialogs" in text
    assert "verifying" in text


@pytest.mark.parametrize(
    ("origin", "target", "said"),
    [
        ("x.db", "sqlite:///y.db", "ORIGIN: must be sqlite:///relative/path"),
        ("sqlite:///x.db", "sqlite:///y.db", "ORIGIN: there is no database at x.db; name the one that is in use"),
        ("sqlite:///x.db", "y.db", "TARGET: must be sqlite:///relative/path"),
    ],
)
@pytest.mark.usefixtures("somewhere")
def test_a_refusal_names_the_argument(origin: str, target: str, said: str, capsys: Output) -> None:
    assert said in refused(capsys, "move", origin, target)
