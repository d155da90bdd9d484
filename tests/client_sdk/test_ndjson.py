"""NDJSON whose fields are null for long: with the schema, every tool reads what comes after."""

# What reads tables tells few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from pathlib import Path

import datasets
import duckdb
import polars as pl
import pyarrow.json
import pytest

import consentful

NULLS = 30_000
"""More rows than any tool examines before it decides on types."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export in which language, bot and time are null up to the last row."""
    row = {
        "dialog_id": "d-1",
        "seq": 1,
        "customer": "cus_a",
        "role": "customer",
        "text": "Hi",
        "language": None,
        "bot": None,
        "sent_at": None,
        "received_at": "2026-01-31T12:00:00Z",
        "stored_at": "2026-01-31T12:00:00.000001Z",
    }
    last = row | {"language": "en", "bot": "shop", "sent_at": "2026-01-31T11:59:59.5Z"}
    path = tmp_path_factory.mktemp("export") / "kept.ndjson"
    path.write_text("".join([f"{json.dumps(row)}\n"] * NULLS + [json.dumps(last)]))
    return path


LAST = ("shop", "en", "2026-01-31T11:59:59.500000+00:00")


def test_polars_fails_without_the_schema_and_reads_all_with_it(lines: Path) -> None:
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_ndjson(lines)

    frame = pl.read_ndjson(lines, schema=pl.Schema(consentful.Reader.schema()))

    last = frame[-1].row(0, named=True)
    assert (last["bot"], last["language"], last["sent_at"].isoformat()) == LAST
    assert frame.height == NULLS + 1


def test_pyarrow_reads_all_with_the_schema(lines: Path) -> None:
    options = pyarrow.json.ParseOptions(explicit_schema=consentful.sync.Reader.schema())

    table = pyarrow.json.read_json(lines, parse_options=options)

    (last,) = table.slice(NULLS).to_pylist()
    assert (last["bot"], last["language"], last["sent_at"].isoformat()) == LAST


def test_datasets_reads_all_with_the_schema(lines: Path, tmp_path: Path) -> None:
    features = datasets.Features.from_arrow_schema(consentful.Reader.schema())

    rows = datasets.load_dataset("json", data_files=str(lines), features=features, cache_dir=str(tmp_path))["train"]

    assert (rows[-1]["bot"], rows[-1]["language"], len(rows)) == ("shop", "en", NULLS + 1)


def test_duckdb_loses_values_without_the_types_and_reads_all_with_them(lines: Path) -> None:
    connection = duckdb.connect()
    types = "{dialog_id: 'VARCHAR', bot: 'VARCHAR', language: 'VARCHAR', sent_at: 'TIMESTAMPTZ'}"

    silent = connection.execute(f"SELECT count(bot) FROM read_ndjson('{lines}')").fetchone()
    found = connection.execute(
        f"SELECT count(bot), max(language) FROM read_ndjson('{lines}', columns={types})"
    ).fetchone()

    assert silent == (0,), "if DuckDB finds it by itself some day, the documentation need not warn any more"
    assert found == (1, "en")


def test_a_chats_schema_is_read_as_well(tmp_path: Path) -> None:
    chat = {
        "dialog_id": "d-1",
        "customer": "cus_a",
        "language": None,
        "bot": None,
        "stored_at": "2026-01-31T12:00:00Z",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    (tmp_path / "chats.ndjson").write_text(json.dumps(chat) + "\n")

    frame = pl.read_ndjson(tmp_path / "chats.ndjson", schema=pl.Schema(consentful.Reader.schema("chat")))

    assert frame["messages"].to_list() == [[{"role": "user", "content": "Hi"}]]
