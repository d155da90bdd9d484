"""CSV: a file that RFC 4180 readers and spreadsheets take in as it is, whatever was said."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful.wire import Role
from consentful_server.archive.views import Chat, ChatLine, KeptMessage
from consentful_server.exports.formats.csv import CsvEncoder, cell, defused

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def message(seq: int = 1, text: str = "Hi", role: Role = "customer", **fields: Any) -> KeptMessage:
    given: dict[str, Any] = {"language": "en", "bot": None, "sent_at": None} | fields
    return KeptMessage(
        dialog_id="d-1",
        seq=seq,
        customer="cus_a",
        role=role,
        text=text,
        received_at=NOW,
        stored_at=NOW + timedelta(microseconds=5),
        **given,
    )


HEAD = b"dialog_id,seq,customer,customer_id,role,text,language,bot,sent_at,received_at,stored_at\r\n"


def test_the_head_comes_once_and_every_line_ends_with_crlf() -> None:
    sheet = CsvEncoder("messages")

    first, second = sheet.block([message(1), message(2, bot="b,c", sent_at=NOW)]), sheet.block([message(3)])

    times = b"2026-01-31T12:00:00.000000Z,2026-01-31T12:00:00.000005Z\r\n"
    assert first == (
        HEAD
        + b"d-1,1,cus_a,,customer,Hi,en,,,"
        + times
        + b'd-1,2,cus_a,,customer,Hi,en,"b,c",2026-01-31T12:00:00.000000Z,'
        + times
    )
    assert second == b"d-1,3,cus_a,,customer,Hi,en,,," + times
    assert sheet.finish() == b""


def test_without_rows_there_is_a_head_all_the_same() -> None:
    assert CsvEncoder("messages").finish() == HEAD


def test_a_block_without_rows_has_the_head_and_no_line() -> None:
    sheet = CsvEncoder("messages")

    assert (sheet.block([]), sheet.block([]), sheet.finish()) == (HEAD, b"", b"")


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        ("two\rlines", '"two\rlines"'),
        ("=1,2", '"\'=1,2"'),
        ("a b; c", "a b; c"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_cell_is_quoted_where_it_has_to_be(text: str | None, spelt: str) -> None:
    assert cell(text) == spelt


@pytest.mark.parametrize("first", "=+-@\t\r\n＝＋－＠")
def test_whatever_begins_a_formula_is_defused(first: str) -> None:
    assert defused(f"{first}1") == f"'{first}1"
    assert defused(f"1{first}") == f"1{first}"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=5))
def test_the_standard_librarys_reader_reads_every_cell_back(texts: list[str]) -> None:
    line = ",".join(map(cell, texts)) + "\r\n"

    rows = list(csv.reader(io.StringIO(line, newline=""), strict=True))

    assert rows == [[defused(text) for text in texts]] or (len(texts) == 1 and not texts[0] and rows == [[]])


def test_a_chat_is_a_cell_of_json() -> None:
    chat = Chat(
        dialog_id="d-1",
        customer="cus_a",
        customer_id="=c-1",
        language="de",
        bot="shop",
        stored_at=NOW,
        messages=[ChatLine("customer", 'Say "hi"'), ChatLine("bot", "ü")],
    )
    sheet = CsvEncoder("chat")

    _, line = csv.reader(io.StringIO(sheet.block([chat]).decode(), newline=""))

    lines = '[{"role":"customer","content":"Say \\"hi\\""},{"role":"bot","content":"ü"}]'
    assert line == ["d-1", "cus_a", "'=c-1", "de", "shop", "2026-01-31T12:00:00.000000Z", lines]
