"""The head of the table: what it says of the server is asked of the server's own connection."""

from pathlib import Path

import pytest

from bench import conditions
from bench.conditions import Others


def test_a_connection_is_asked_how_durable_it_is(tmp_path: Path) -> None:
    assert conditions.synchronous(tmp_path) == "FULL"


def test_the_head_names_versions_and_what_was_on(tmp_path: Path) -> None:
    head = "\n".join(conditions.conditions(tmp_path))

    for word in ("CPython", "aiohttp", "SQLite", "picows", "synchronous=FULL", "sealing", "acks", "limits", "metrics"):
        assert word in head


def test_others_are_what_was_busy_less_what_was_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"monotonic": 100.0, "busy": 50.0, "own": 10.0}
    monkeypatch.setattr(conditions.time, "monotonic", lambda: clock["monotonic"])
    monkeypatch.setattr(conditions, "_busy_s", lambda: clock["busy"])
    monkeypatch.setattr(conditions, "_own_s", lambda: clock["own"])
    others = Others()

    clock |= {"monotonic": 110.0, "busy": 65.0, "own": 20.0}
    assert others.cores() == 0.5

    clock |= {"own": 90.0}
    assert others.cores() == 0.0, "the kernel counts in steps"
