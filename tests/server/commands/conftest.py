"""Commands run in an empty folder, and without the settings of whoever runs the tests."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from consentful_server import cli
from logs import as_it_was

from .refusals import Output


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, on a wide terminal, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(cli.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture(autouse=True)
def log_lines() -> Generator[None]:
    """Keep the handler of a command from the next test, whose standard error is another one."""
    with as_it_was():
        yield


@pytest.fixture
def database(somewhere: Path, capsys: Output) -> Path:
    """Create a database and its keys."""
    assert cli.run(["migrate"]) == 0
    capsys.readouterr()
    return somewhere
