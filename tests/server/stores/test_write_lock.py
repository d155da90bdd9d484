import time
from pathlib import Path

import pytest

from consentful_server.stores.sqlite import write_lock
from consentful_server.stores.sqlite.connection import connect, sqlite3


@pytest.fixture
def pair(tmp_path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Two connections to one file, of which the second waits for nothing by itself."""
    other, own = connect(tmp_path / "x.db"), connect(tmp_path / "x.db")
    write_lock.wait_for_nothing(own)
    return other, own


def test_the_lock_is_tried_for_again_shortly_after(
    pair: tuple[sqlite3.Connection, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, own = pair
    other.execute("BEGIN IMMEDIATE")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr(time, "sleep", sleep)

    write_lock.begin(own)

    assert own.in_transaction
    assert slept == [0.0005] * 3


def test_who_waits_for_too_long_is_told(
    pair: tuple[sqlite3.Connection, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, own = pair
    other.execute("BEGIN IMMEDIATE")
    now = iter([0.0, 4.9, 5.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))

    with pytest.raises(sqlite3.OperationalError) as caught:
        write_lock.begin(own)

    assert caught.value.sqlite_errorname == "SQLITE_BUSY"
    assert not own.in_transaction


def test_another_error_is_not_waited_for(
    pair: tuple[sqlite3.Connection, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, own = pair
    own.execute("BEGIN")
    monkeypatch.setattr(time, "sleep", _never)

    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        write_lock.begin(own)


def _never(_seconds: float) -> None:
    pytest.fail("it waited")
