"""The README is run: its program, its commands, and what it says that they answer."""

import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import polars as pl
import pytest

from consentful_server.cli import run
from documented import ADDRESS, blocks, served, shell

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    (program,) = blocks(README, "python")
    with served(tmp_path) as url:
        said = subprocess.run(
            [sys.executable, "-c", program.replace(ADDRESS, url)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        assert "May we keep this conversation" in said
        assert "2 messages stored; withdrawal code: " in said

        _, one_curl, more, several = blocks(README, "console")
        page = json.loads(shell(one_curl.replace(ADDRESS, url), tmp_path))
        (shown,) = blocks(README, "json")
        assert set(page) == set(json.loads(shown))
        assert set(json.loads(shown)["items"][0]) - {"…"} < set(page["items"][0])
        assert page["items"][0]["text"] == json.loads(shown)["items"][0]["text"]

        export, search, dialogs, erase = more.strip().splitlines()
        shell(f"{export} --url {url}", tmp_path)
        assert len(pl.read_parquet(tmp_path / "kept.parquet")) == 2
        assert json.loads(shell(search.replace(ADDRESS, url), tmp_path))["items"][0]["text"] == "Where is my parcel?"
        assert len(json.loads(shell(dialogs.replace(ADDRESS, url), tmp_path))["items"]) == 1
        report = shell(erase, tmp_path)  # data and keys lie in the folder, as after `make run`
        assert json.loads(urlsafe_b64decode(report.split(".")[1] + "=="))["status"] == "unreadable"
        assert json.loads(shell(dialogs.replace(ADDRESS, url), tmp_path))["items"] == []

        *_, capacity = several.strip().splitlines()
        assert "first bottleneck" in shell(capacity, tmp_path)


def test_the_readme_makes_a_key_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = re.search(r"`consentful (keys create --name\s+shop --scope dialogs:write)`", README)
    assert command is not None
    place = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]
    assert run(["migrate", *place]) == 0
    capsys.readouterr()

    assert run([*command[1].split(), *place]) == 0
    assert re.fullmatch(r"cfl_[0-9a-f]{12}_[\w-]{43}\n", capsys.readouterr().out)


def test_its_commands_are_targets_of_make() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make (\w+)", README)) <= targets
