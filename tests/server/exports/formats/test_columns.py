"""Columns: the documented schemas, and groups of rows that take constant memory."""

# pyarrow tells no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consentful_server.archive.views import Chat
from consentful_server.exports.formats import MEDIA, Shape, columns, encoder
from consentful_server.exports.formats.compression import CODINGS
from consentful_server.exports.formats.fields import FIELDS

TEXT, COUNT, TIME = pa.string(), pa.int32(), pa.timestamp("us", "UTC")
LABEL = pa.dictionary(pa.int32(), pa.string())
LABELS = pa.list_(pa.field("item", pa.string(), False))
LINES = pa.list_(
    pa.field("item", pa.struct([pa.field("role", pa.string(), False), pa.field("content", pa.string(), False)]), False)
)

SCHEMAS: dict[Shape, dict[str, Any]] = {
    "messages": {
        "dialog_id": TEXT,
        "seq": COUNT,
        "customer": TEXT,
        "customer_id?": TEXT,
        "role": LABEL,
        "text": TEXT,
        "language?": LABEL,
        "bot?": LABEL,
        "sent_at?": TIME,
        "received_at": TIME,
        "stored_at": TIME,
    },
    "dialogs": {
        "dialog_id": TEXT,
        "customer": TEXT,
        "customer_id?": TEXT,
        "language?": LABEL,
        "bot?": LABEL,
        "messages": COUNT,
        "opened_at": TIME,
        "received_at": TIME,
        "stored_at": TIME,
        "expires_at": TIME,
        "notice_id": LABEL,
        "notice_language": LABEL,
        "notice_sha256": LABEL,
        "purposes": LABELS,
        "given_by": LABEL,
    },
    "chat": {
        "dialog_id": TEXT,
        "customer": TEXT,
        "customer_id?": TEXT,
        "language?": LABEL,
        "bot?": LABEL,
        "stored_at": TIME,
        "messages": LINES,
    },
}
"""What a program that reads exports rests on; with `?` a column may be empty."""

CHAT = Chat(
    dialog_id="d-1",
    customer="cus_a",
    language="en",
    bot=None,
    stored_at=datetime(2026, 1, 31, tzinfo=UTC),
    messages=[],
)


@pytest.mark.parametrize("shape", SCHEMAS)
def test_a_schema_never_changes(shape: Shape) -> None:
    found = {f"{field.name}{'?' * field.nullable}": field.type for field in columns.schema(shape)}

    assert list(found.items()) == list(SCHEMAS[shape].items())
    assert [field.name for field in FIELDS[shape]] == [name.rstrip("?") for name in found]


def test_media_types_and_codings_never_change() -> None:
    assert MEDIA == {
        "ndjson": "application/x-ndjson",
        "csv": "text/csv",
        "parquet": "application/vnd.apache.parquet",
        "arrow": "application/vnd.apache.arrow.stream",
    }
    assert CODINGS == ("zstd", "gzip")


def file_of(blocks: list[int]) -> tuple[pq.ParquetFile, list[int]]:
    """Return a file that was written in blocks of so many rows, and how many bytes left with each."""
    encoding = encoder("parquet", "chat")
    sent = [encoding.block([CHAT] * rows) for rows in blocks]
    return pq.ParquetFile(io.BytesIO(b"".join(sent) + encoding.finish())), [len(data) for data in sent]


def groups_of(file: pq.ParquetFile) -> list[int]:
    return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def test_a_group_is_closed_once_it_has_rows_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_GROUP_ROWS", 5)

    file, sent = file_of([2, 3, 1, 9, 1])

    assert groups_of(file) == [5, 10, 1]
    assert [bool(size) for size in sent[1:]] == [True, False, True, False], "what is whole leaves at once"


def test_a_group_is_closed_once_it_has_bytes_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    one = columns._Batches("chat").of([CHAT]).nbytes  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(columns, "_GROUP_BYTES", 2 * one)

    file, _ = file_of([1, 1, 1, 1, 1])

    assert groups_of(file) == [2, 2, 1]


def test_a_file_is_compressed_with_zstd() -> None:
    file, _ = file_of([1])

    assert {file.metadata.row_group(0).column(number).compression for number in range(5)} == {"ZSTD"}
