"""The log is not to be altered: whatever is changed, removed, inserted or moved is found (GDPR art. 32)."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentful_server import cli
from consentful_server.access_log.chain import CUSTOMER, OPERATOR, Chain, Entry, Head, Link
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.log import AccessLog
from consentful_server.access_log.verification import Check, read_head
from consentful_server.errors import BadRequest
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.testing import FakeClock, Served
from sealed import VAULT, open_store

from .entries import SCIENTIST, altering

ENTRIES: Final = 12


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose access log has some entries; to be copied."""
    folder = tmp_path_factory.mktemp("written")

    async def write(access_log: AccessLog) -> None:
        for number in range(1, ENTRIES + 1):
            wanted = ({"purpose": "research"}, {"language": "en", "q": f"word {number}"}, None)[number % 3]
            by = (SCIENTIST, CUSTOMER)[number % 2]
            await access_log.write(by, "messages.read", wanted=wanted, rows=number, dialogs=[number, 7], subject=None)

    run(folder, write)
    return folder


def run(folder: Path, work: Callable[[AccessLog], Coroutine[Any, Any, Any]]) -> Any:
    async def within() -> Any:
        store = await open_store(folder / "log.db", FakeClock())
        try:
            commitments = Commitments(b"v" * 32, EpochSeals(VAULT))
            return await work(AccessLog(store.access_log, Chain(b"c" * 32), commitments, FakeClock()))
        finally:
            await store.close()

    return asyncio.run(within())


def check(folder: Path, anchor: Head | None = None) -> Check:
    return run(folder, lambda access_log: access_log.check(anchor))


COLUMNS: Final = {
    "at": 1,
    "kind": "operator",
    "who": "nobody",
    "action": "dialog.read",
    "request": "r-2",
    "subject": "s",
    "filters": "role",
    "commitment": b"0" * 32,
    "rows": 99,
    "dialogs": b"",
    "link": b"1" * 32,
    "number": 1000,
}
numbers = st.integers(1, ENTRIES)
mutations = st.one_of(
    st.tuples(
        st.just("UPDATE access_log SET {column} = ? WHERE number = ?"), st.sampled_from(sorted(COLUMNS)), numbers
    ),
    st.tuples(st.just("DELETE FROM access_log WHERE number = ?"), st.none(), numbers),
    st.tuples(
        st.just(
            "INSERT INTO access_log SELECT {number}, at, kind, who, action, request, subject, filters, commitment,"
            " rows, dialogs, link FROM access_log WHERE number = ?"
        ),
        st.sampled_from([-1, 0, ENTRIES + 1, ENTRIES + 2]),
        numbers,
    ),
    st.tuples(st.just("swap"), numbers, numbers),
    st.tuples(st.just("UPDATE access_values SET sealed = ? WHERE number = ?"), st.just("sealed"), numbers),
    st.tuples(st.just("UPDATE ending_values SET sealed = ? WHERE number = ?"), st.just("sealed"), numbers),
    st.tuples(
        st.just("UPDATE access_head SET {head} WHERE only = ?"),
        st.sampled_from(
            ["number = 11", "number = 13", "number = 0", "number = -1", "link = zeroblob(32)", "seal = zeroblob(32)"]
        ),
        st.just(1),
    ),
    st.tuples(st.just("DELETE FROM access_head WHERE only = ?"), st.none(), st.just(1)),
    st.tuples(st.just("rewind"), st.none(), numbers),
)


def mutate(path: Path, mutation: tuple[str, Any, int]) -> bool:
    """Alter the log as somebody who can write the file could; False if that altered nothing."""
    how, what, number = mutation
    with altering(path) as db:
        db.execute("DROP TRIGGER access_log_stays")
        db.execute("DROP TRIGGER access_log_holds")
        if how == "swap":
            one, other = (
                db.execute("SELECT * FROM access_log WHERE number = ?", (it,)).fetchone() for it in (what, number)
            )
            db.execute("DELETE FROM access_log WHERE number IN (?, ?)", (what, number))
            marks = ", ".join("?" * len(one))
            db.execute(f"INSERT INTO access_log VALUES ({marks})", (what, *other[1:]))
            if what != number:
                db.execute(f"INSERT INTO access_log VALUES ({marks})", (number, *one[1:]))
            return what != number
        if how == "rewind":  # cut the end off, and claim that it ended there; only the head's seal is in the way
            db.execute("DELETE FROM access_log WHERE number > ?", (number,))
            link = db.execute("SELECT link FROM access_log WHERE number = ?", (number,)).fetchone()[0]
            db.execute("UPDATE access_head SET number = ?, link = ?", (number, link))
            return number != ENTRIES
        if "{column}" in how:
            return db.execute(how.format(column=what), (COLUMNS[what], number)).rowcount == 1
        if "{head}" in how:
            return db.execute(how.format(head=what), (number,)).rowcount == 1
        if what == "sealed":
            return db.execute(how, (b"s" * 100, number)).rowcount == 1
        return db.execute(how.format(number=what), (number,)).rowcount == 1


class TestTheChain:
    def test_an_untouched_log_holds_up_to_its_head(self, written: Path) -> None:
        found = check(written)

        assert (found.fault, found.entries, found.head.number) == (None, ENTRIES, ENTRIES)
        assert check(written, found.head).fault is None

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(mutation=mutations)
    def test_any_single_alteration_is_found(
        self, written: Path, tmp_path_factory: pytest.TempPathFactory, mutation: tuple[str, Any, int]
    ) -> None:
        folder = tmp_path_factory.mktemp("altered", numbered=True)
        shutil.copytree(written, folder, dirs_exist_ok=True)

        altered = mutate(folder / "log.db", mutation)

        assert (check(folder).fault is not None) == altered, mutation

    def test_a_rewritten_end_is_found_by_whoever_wrote_the_head_down(self, written: Path, tmp_path: Path) -> None:
        shutil.copytree(written, tmp_path, dirs_exist_ok=True)
        anchored = check(written).head
        with altering(tmp_path / "log.db") as db:  # a thief of all keys starts anew
            db.execute("DROP TRIGGER access_log_stays")
            db.execute("DELETE FROM access_log")
            db.execute("DELETE FROM access_values")
            db.execute("DELETE FROM ending_values")
            db.execute("UPDATE access_head SET number = 0, link = zeroblob(32), seal = x''")

        assert check(tmp_path).fault is None
        assert check(tmp_path, anchored).fault == f"the log ends before entry {ENTRIES}"
        for _ in range(ENTRIES):
            run(tmp_path, lambda access_log: access_log.write(OPERATOR, "log.read"))
        assert check(tmp_path, anchored).fault == f"entry {ENTRIES} differs from the saved head"

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(mutation=mutations)
    def test_no_alteration_stops_what_comes_after_or_is_covered_by_it(
        self, written: Path, tmp_path_factory: pytest.TempPathFactory, mutation: tuple[str, Any, int]
    ) -> None:
        folder = tmp_path_factory.mktemp("altered", numbered=True)
        shutil.copytree(written, folder, dirs_exist_ok=True)

        altered = mutate(folder / "log.db", mutation)
        for _ in range(2):
            run(folder, lambda access_log: access_log.write(OPERATOR, "log.read"))

        assert (check(folder).fault is not None) == altered, mutation

    def test_the_store_itself_changes_and_removes_nothing(self, written: Path, tmp_path: Path) -> None:
        shutil.copytree(written, tmp_path, dirs_exist_ok=True)
        with altering(tmp_path / "log.db") as db:
            for sql in ("DELETE FROM access_log", "UPDATE access_log SET rows = 0"):
                with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                    db.execute(sql)

    async def test_many_at_once_and_several_processes_make_one_chain(self, tmp_path: Path) -> None:
        first, second = [await open_store(tmp_path / "log.db", FakeClock()) for _ in range(2)]
        books = [
            AccessLog(store.access_log, Chain(b"c" * 32), Commitments(b"v" * 32, EpochSeals(VAULT)), FakeClock())
            for store in (first, second)
        ]

        await asyncio.gather(*(books[number % 2].write(SCIENTIST, "log.read", rows=number) for number in range(100)))

        found = await books[0].check()
        assert (found.fault, found.entries) == (None, 100)
        for store in (first, second):
            await store.close()

    def test_another_key_makes_another_chain(self) -> None:
        entry = Entry(
            number=1,
            at=0,
            kind="service",
            who="service",
            action="log.read",
            request=None,
            subject=None,
            filters=(),
            commitment=None,
            rows=0,
            dialogs=None,
        )
        ours, theirs = Chain(b"a" * 32), Chain(b"b" * 32)
        link, head = theirs.follow(Head(), entry)

        assert ours.breaks(Head(), [link]) == (Head(), 1)
        assert theirs.breaks(Head(), [link]) == (head, None)
        assert not ours.is_genuine(head)
        assert ours.breaks(Head(), [Link(entry, bytes(32))])[1] == 1


async def test_the_head_is_in_the_servers_log_so_that_it_is_kept_elsewhere(
    service: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "consentful.housekeeping"):
        await Housekeeping(service.service).anchor()

    (record,) = [record for record in caplog.records if record.message == "access log"]
    head = read_head(vars(record)["head"])
    assert (await service.service.access_log.check(head)).fault is None
    assert head.number == 1


class TestTheCommand:
    def test_it_prints_the_head_and_takes_it_back(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        places = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]

        assert cli.run(["migrate", *places]) == 0
        assert cli.run(["verify", "--log", *places]) == 0
        head = capsys.readouterr().out.split()[-1]
        assert cli.run(["keys", "create", "--name", "n", "--scope", "privacy", *places]) == 0
        assert cli.run(["verify", "--log", "--head", head, *places]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith("Verified 2 entries.")

        with altering(tmp_path / "data" / "consentful.db") as db:
            db.execute("DROP TRIGGER access_log_holds")
            db.execute("UPDATE access_log SET who = 'nobody' WHERE number = 2")
        assert cli.run(["verify", "--log", *places]) == 1
        assert "entry 2 was altered, removed or inserted" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["", "12", "12:", "x:00", "-1:" + "00" * 32, "1:00", "1:" + "0g" * 32])
    def test_what_is_no_head_is_refused(self, text: str) -> None:
        with pytest.raises(BadRequest):
            read_head(text)
