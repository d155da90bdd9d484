"""The statements for Citus, run on PostgreSQL with functions that stand in for Citus's. No cluster runs here.

The stand-ins refuse what Citus refuses of a table: a primary key or a unique index without the distribution column.
"""

from pathlib import Path

import pytest

from consentful_server import cli
from consentful_server.clock import SystemClock
from consentful_server.errors import BadSetting
from consentful_server.stores.open import backend_of
from consentful_server.stores.postgres.distribution import STATEMENTS
from kinds import KINDS
from postgres_server import database_of, named_in, server
from sealed import candidate

STAND_INS = """
CREATE TABLE distributed (name TEXT, by TEXT, beside TEXT);
CREATE FUNCTION create_distributed_table(named REGCLASS, col TEXT, colocate_with TEXT DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = named AND i.indisunique AND NOT EXISTS (
        SELECT 1 FROM pg_attribute a WHERE a.attrelid = named AND a.attname = col AND a.attnum = ANY (i.indkey)))
    THEN RAISE EXCEPTION 'cannot create constraint on %: its columns do not include %', named, col;
    END IF;
    INSERT INTO distributed VALUES (named::text, col, colocate_with);
END $$;
CREATE FUNCTION create_reference_table(named REGCLASS) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO distributed VALUES (named::text, NULL, NULL) $$;
"""


async def prepared(folder: Path) -> str:
    """Return the URL of a database with the stand-ins."""
    url = await database_of(folder)
    db = await server().connect(named_in(url))
    try:
        await db.execute(STAND_INS)
    finally:
        await db.close()
    return url


async def test_a_dialogs_rows_are_colocated_and_what_joins_them_is_everywhere(tmp_path: Path) -> None:
    url = await prepared(tmp_path)

    assert backend_of(url, tmp_path).distribute() == STATEMENTS

    sql = "SELECT string_agg(concat_ws(' ', name, by, beside), ', ' ORDER BY beside NULLS FIRST, name) FROM distributed"
    assert await server().run(sql, named_in(url)) == (
        "dialogs id, epochs, kinds, tombstones, annotation_terms dialog dialogs,"
        " annotations dialog dialogs, dialog_keys dialog dialogs, dialog_kinds dialog dialogs,"
        " messages dialog dialogs, seals dialog dialogs"
    )


async def test_the_command_prints_the_statements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = await prepared(tmp_path)

    assert cli.run(["migrate", "--citus", "--database", url]) == 0

    assert capsys.readouterr().out.splitlines()[1:] == [f"{statement};" for statement in STATEMENTS]


async def test_each_dialog_is_still_stored_once_without_the_constraint(tmp_path: Path) -> None:
    url = await prepared(tmp_path)
    backend_of(url, tmp_path).distribute()
    store = await KINDS["postgres"](tmp_path, SystemClock())
    try:
        first = await store.dialogs.keep(candidate("d-1"))
        again = await store.dialogs.keep(candidate("d-1"))
    finally:
        await store.close()

    assert first.number == again.number
    assert await server().run("SELECT count(*) FROM dialogs", named_in(url)) == 1


async def test_a_constraint_that_citus_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control: without the first statements, the stand-in refuses as Citus does."""
    url = await prepared(tmp_path)
    left = [it for it in STATEMENTS if "withdrawal" not in it]
    monkeypatch.setattr("consentful_server.stores.postgres.distribution.STATEMENTS", left)

    assert _refused(capsys, url).endswith("cannot be distributed (RaiseError P0001); nothing was changed")

    assert await server().run("SELECT count(*) FROM distributed", named_in(url)) == 0


async def test_one_line_says_why_a_database_cannot_be_distributed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "has no Citus; run `CREATE EXTENSION citus`" in _refused(capsys, await database_of(tmp_path / "plain"))
    url = await prepared(tmp_path)
    backend_of(url, tmp_path).distribute()
    assert "is distributed already; nothing was changed" in _refused(capsys, url)
    with pytest.raises(BadSetting, match="citus: needs a PostgreSQL database"):
        backend_of("", tmp_path).distribute()


def _refused(capsys: pytest.CaptureFixture[str], url: str) -> str:
    """Return what `consentful migrate --citus` says when it refuses the database."""
    capsys.readouterr()
    assert cli.run(["migrate", "--citus", "--database", url]) == 2
    return capsys.readouterr().err.strip()
