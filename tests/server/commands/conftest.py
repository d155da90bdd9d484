"""Commands run in an empty folder, and without the settings of whoever runs the tests."""

import os
from pathlib import Path

import pytest

from consentful_server import cli

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


@pytest.fixture
def database(somewhere: Path, capsys: Output) -> Path:
    """Create a database and its keys."""
    assert cli.run(["migrate"]) == 0
    capsys.readouterr()
    return somewhere
