"""Formats: whatever the rows, what was encoded is read back by those who will read it."""

# pyarrow tells no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false

import csv
import io
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.archive.views import Chat, ChatLine, KeptMessage
from consentful_server.errors import NotAcceptable
from consentful_server.exports import formats
from consentful_server.exports.formats import Format, Shape, columns, encoder, offered
from consentful_server.exports.formats.compression import CODINGS, Coding, compressor
from consentful_server.exports.formats.csv import defused

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
"""Has microseconds, which must not be lost."""


def message(
    seq: int = 1, text: str = "Hi", language: str | None = "en", bot: str | None = None, **fields: Any
) -> KeptMessage:
    return KeptMessage(
        dialog_id="d-1",
        seq=seq,
        customer="cus_a",
        role="customer",
        text=text,
        language=language,
        bot=bot,
        sent_at=None,
        received_at=NOW,
        stored_at=NOW + timedelta(seconds=1),
        **fields,
    )


def encoded(form: Format, shape: Shape, blocks: Sequence[Sequence[Any]]) -> bytes:
    encoding = encoder(form, shape)
    return b"".join(encoding.block(block) for block in blocks) + encoding.finish()


def table_of(form: Format, data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data)) if form == "parquet" else pa.ipc.open_stream(data).read_all()


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
blocks_of_words = st.lists(st.lists(words, min_size=1, max_size=5), max_size=4)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@given(blocks=blocks_of_words)
def test_columns_hold_every_text_as_it_is(form: Format, blocks: list[list[str]]) -> None:
    rows = [[message(seq, text) for seq, text in enumerate(block, 1)] for block in blocks]

    table = table_of(form, encoded(form, "messages", rows))

    assert table["text"].to_pylist() == [text for block in blocks for text in block]
    assert table.schema.equals(columns.schema("messages"))


@given(blocks=blocks_of_words)
def test_lines_hold_every_text_as_it_is(blocks: list[list[str]]) -> None:
    rows = [[message(seq, text) for seq, text in enumerate(block, 1)] for block in blocks]

    lines = encoded("ndjson", "messages", rows).splitlines()

    assert [json.loads(line)["text"] for line in lines] == [text for block in blocks for text in block]


LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Where `str.splitlines` splits."""


@given(texts=st.lists(st.text(st.sampled_from(LINE_ENDS + '\\"aé\U0001f600\u2027\u202a'), max_size=8), max_size=5))
def test_every_line_reader_finds_the_same_lines(texts: list[str]) -> None:
    data = encoded("ndjson", "messages", [[message(seq, text, bot=text) for seq, text in enumerate(texts, 1)]])

    lines = data.decode().splitlines()

    assert lines == data.decode().split("\n")[:-1]
    assert [json.loads(line)["text"] for line in lines] == texts
    assert [msgspec.json.decode(line)["bot"] for line in data.splitlines()] == texts


@given(blocks=blocks_of_words)
def test_a_sheet_holds_every_text_and_no_formula(blocks: list[list[str]]) -> None:
    rows = [[message(seq, text) for seq, text in enumerate(block, 1)] for block in blocks]

    table = list(csv.DictReader(io.StringIO(encoded("csv", "messages", rows).decode(), newline="")))

    assert [row["text"] for row in table] == [defused(text) for block in blocks for text in block]
    assert not any(row["text"].startswith(("=", "+", "-", "@", "\t", "\r")) for row in table)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1", "'+49 30 1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("＝1", "'＝1"),
        ("1=1", "1=1"),
        ("'=1", "'=1"),
        ("", ""),
        (None, ""),
    ],
)
def test_what_a_spreadsheet_would_run_is_defused(text: str | None, cell: str) -> None:
    assert defused(text) == cell


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_times_are_exact_and_in_utc_and_labels_grow_from_block_to_block(form: Format) -> None:
    languages = ["en", "de", None, "fr", "en"]
    rows = [[message(seq, language=language)] for seq, language in enumerate(languages, 1)]

    data = encoded(form, "messages", rows)

    table = table_of(form, data)
    assert table["received_at"].to_pylist() == [NOW] * 5
    assert table["sent_at"].null_count == 5
    assert table["language"].to_pylist() == languages
    assert table["customer_id"].null_count == 5, "the column is there, and empty for those who may not know it"
    polars = pl.read_parquet(data) if form == "parquet" else pl.read_ipc_stream(data)
    assert polars["language"].cast(pl.String).to_list() == languages
    frame = pd.read_parquet(io.BytesIO(data)) if form == "parquet" else table.to_pandas()
    assert frame["received_at"].dt.tz is not None
    assert list(frame["seq"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("form", ["parquet", "arrow", "ndjson", "csv"])
def test_a_chat_is_a_list_of_roles_and_contents(form: Format) -> None:
    chat = Chat(
        dialog_id="d-1",
        customer="cus_a",
        customer_id="c-1",
        language=None,
        bot="shop",
        stored_at=NOW,
        messages=[ChatLine("customer", "Hi"), ChatLine("bot", "Hello")],
    )

    data = encoded(form, "chat", [[chat]])

    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
        row |= {"messages": json.loads(row["messages"])}
    else:
        (row,) = [json.loads(data)] if form == "ndjson" else table_of(form, data).to_pylist()
    assert row["messages"] == [{"role": "customer", "content": "Hi"}, {"role": "bot", "content": "Hello"}]
    assert (row["customer_id"], row["bot"]) == ("c-1", "shop")


@pytest.mark.parametrize("shape", ["messages", "dialogs", "chat"])
def test_nothing_is_still_well_formed(shape: Shape) -> None:
    for form in offered():
        data = encoded(form, shape, [])
        if form in ("parquet", "arrow"):
            assert table_of(form, data).num_rows == 0
        elif form == "csv":
            assert len(list(csv.reader(io.StringIO(data.decode())))) == 1
        else:
            assert data == b""


def test_what_was_cut_short_is_no_table() -> None:
    rows = [[message(seq) for seq in range(1, 100)]]

    with pytest.raises(pa.ArrowInvalid):
        table_of("parquet", encoded("parquet", "messages", rows)[:-1])
    with pytest.raises(OSError, match="Expected to be able to read"):
        table_of("arrow", encoded("arrow", "messages", rows)[:-200])


def test_groups_of_rows_are_closed_before_they_grow_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_GROUP_ROWS", 4)
    encoding = encoder("parquet", "messages")

    sent = [len(encoding.block([message(seq)])) for seq in range(1, 10)]
    file = pq.ParquetFile(io.BytesIO(encoded("parquet", "messages", [[message(seq)] for seq in range(1, 10)])))

    assert sent[3] > 0, "a full group leaves at once"
    assert sent[4] == 0
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [4, 4, 1]


def test_without_pyarrow_there_are_no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentful_server.exports.formats.has_columns", lambda: False)

    assert list(offered()) == ["ndjson", "csv"]
    with pytest.raises(NotAcceptable):
        encoder("parquet", "messages")


@pytest.mark.parametrize("coding", CODINGS)
@given(parts=st.lists(st.binary(max_size=100), max_size=5))
def test_what_was_squeezed_is_all_there(coding: Coding, parts: list[bytes]) -> None:
    packer = compressor(coding)

    data = b"".join(packer.compress(part) for part in parts) + packer.flush()

    assert pa.input_stream(io.BytesIO(data), compression=coding).read() == b"".join(parts)


def test_no_word_is_in_a_repr() -> None:
    chat = Chat(
        dialog_id="d", customer="c", language=None, bot=None, stored_at=NOW, messages=[ChatLine("bot", "secret")]
    )

    assert "secret" not in f"{chat!r} {chat.messages!r}"
    assert msgspec.json.encode(chat)


@pytest.mark.parametrize(("form", "loads"), [("parquet", True), ("arrow", True), ("csv", False), ("ndjson", False)])
async def test_pyarrow_is_loaded_on_a_thread(monkeypatch: pytest.MonkeyPatch, form: Format, loads: bool) -> None:
    threads: list[bool] = []
    monkeypatch.setattr(
        formats, "import_module", lambda *_: threads.append(threading.current_thread() is threading.main_thread())
    )

    await formats.load(form)

    assert threads == ([False] if loads else [])
