"""Lists: no id is ever cut, however narrow the terminal, and programs get JSON."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from consentful_server import cli
from consentful_server.commands import listing

from .refusals import Output

pytestmark = pytest.mark.usefixtures("database")

LONG = "a-name-without-a-space-that-is-longer-than-any-terminal-is-wide-" * 2
SCOPES = ("--scope", "dialogs:write", "--scope", "data:read", "--scope", "data:identify", "--scope", "privacy")


@pytest.mark.parametrize("columns", ["20", "80", "300"])
def test_a_keys_id_and_name_are_never_cut(capsys: Output, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    cli.run(["keys", "create", "--name", LONG, *SCOPES, "--days", "30"])
    key_id = capsys.readouterr().out.split("_")[1]

    assert cli.run(["keys", "list"]) == 0

    said = capsys.readouterr().out
    assert key_id in said
    assert LONG in said
    assert "…" not in said


@pytest.mark.parametrize("columns", ["20", "80"])
def test_the_hashes_of_notices_and_the_ids_of_signing_keys_are_never_cut(
    capsys: Output, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert cli.run(["notice", "list"]) == 0
    assert len(re.findall(r"[0-9a-f]{64}", capsys.readouterr().out)) == 4
    assert cli.run(["roots", "list"]) == 0
    assert len(re.findall(r"\S{43} *│ signs", capsys.readouterr().out)) == 1


def test_in_a_terminal_cells_are_wrapped_between_words_but_no_word_is_cut(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+") as file:
        terminal = Console(file=file, width=30, force_terminal=True, color_system=None)
        listing.show(terminal, ("id", "scopes"), [{"id": "0123456789abcdef", "scopes": ["data:read", "privacy"] * 4}])
        file.seek(0)
        said = file.read()

    assert "0123456789abcdef" in said
    assert said.count("data:read") == 4
    assert len(said.splitlines()) > 5


def keys_list(found: Any) -> None:
    (key,) = found
    assert set(key) == {"id", "name", "scopes", "purposes", "created", "expires", "revoked", "last_used"}
    assert (key["name"], key["scopes"], key["purposes"], key["revoked"]) == ("shop", ["data:read"], None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", key["created"])


def notice_list(found: Any) -> None:
    assert [(notice["id"], notice["retired"]) for notice in found] == [("default-1", None)] * 4
    assert all(len(notice["sha256"]) == 64 for notice in found)


def roots_list(found: Any) -> None:
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1]
    assert [key["state"] for key in found["signing_keys"]] == ["signs"]
    assert (found["keys_to_rewrap"], found["incomplete_erasures"]) == (0, 0)


def request_list(found: Any) -> None:
    assert found == []


def log_list(found: Any) -> None:
    assert set(found) == {"items", "head"}
    assert found["items"][-1]["action"] == "notice.added"


@pytest.mark.parametrize("check", [keys_list, notice_list, request_list, log_list, roots_list])
def test_every_list_is_there_as_json(capsys: Output, check: Callable[[Any], None]) -> None:
    cli.run(["keys", "create", "--name", "shop", "--scope", "data:read"])
    capsys.readouterr()

    assert cli.run([*check.__name__.split("_"), "--json"]) == 0

    check(json.loads(capsys.readouterr().out))


def test_every_command_named_list_has_the_flag() -> None:
    lists = [group for group in cli.app if not group.startswith("-") and "list" in set(cli.app[group])]

    assert lists == ["keys", "notice", "request", "log", "roots"], "a new list gets a case above"


def test_a_path_that_is_found_is_never_broken_over_two_lines(
    somewhere: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    file = somewhere / "data" / "a-file-with-a-name-longer-than-the-terminal"
    file.write_text("the marker 4711")

    assert cli.run(["verify", "--disk", "the marker 4711"]) == 1

    assert str(file.relative_to(somewhere)) in capsys.readouterr().out.splitlines()
