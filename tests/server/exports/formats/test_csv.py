"""CSV: a file that RFC 4180 readers and spreadsheets take in as it is, whatever was said."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful.wire import Role
from consentful_server.archive.views import Chat, ChatLine, KeptMessage
from consentful_server.exports.formats.csv import CsvEncoder, cell, defused

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

UNSEEN = "\ufeff\u200b\u2060\u200e\x00\x7f\xad\u3164\u115f\ufe0f\U000e0020"
"""Characters that are not seen, and that a program may strip: not all of them are spaces, controls or formats."""


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
        ("a b; c", '"a b; c"'),
        ("a\tb", '"a\tb"'),
        *((f"a{separator}b", f'"a{separator}b"') for separator in "\v\f\x1c\x1d\x1e\x85\u2028\u2029"),
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


@pytest.mark.parametrize("first", "=+-@\t\r\n＝")
@pytest.mark.parametrize("unseen", [*UNSEEN, UNSEEN])
def test_nothing_that_is_unseen_hides_a_formula(unseen: str, first: str) -> None:
    assert defused(f"{unseen}{first}1") == f"'{unseen}{first}1"
    assert defused(f"a;{unseen}=1") == f"a;'{unseen}=1"
    assert defused(f"{unseen}1") == f"{unseen}1"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("d;=1+1", "d;'=1+1"),
        ("d;=1+1;=1+2", "d;'=1+1;'=1+2"),
        ("a;+1\t-1\r\n@x", "a;'+1\t'-1\r\n'@x"),
        ('a; "=1+1"', 'a;\' "=1+1"'),
        ('"=1+1', "'\"=1+1"),
        (" =1", "' =1"),
        ("\xa0\u3000=1", "'\xa0\u3000=1"),
        ("one\n- two", "one\n'- two"),
        ("one\n\n=two", "one\n\n'=two"),
        ("one\n\ntwo", "one\n\ntwo"),
        ("a;b=c; d-e", "a;b=c; d-e"),
        ("a;＝1", "a;'＝1"),
        ("fine, = and - and @ within", "fine, = and - and @ within"),
    ],
)
def test_a_formula_is_defused_at_the_separators_of_every_locale(text: str, safe: str) -> None:
    assert defused(text) == safe


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of a spreadsheet that separates here, and for which these quotes are within cells."""
    cells = re.split(f"[{separator}\r\n]", line)
    return [cell.lstrip(f' "\xa0\u3000\t\r\n\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029{UNSEEN}') for cell in cells]


FORMULAS = st.text(st.sampled_from(f"=+-@＝;\t\r\n\"', a1\xa0\u2028{UNSEEN}"), max_size=12)


@given(st.lists(FORMULAS, min_size=1, max_size=3))
def test_no_cell_is_a_formula_wherever_a_spreadsheet_separates(texts: list[str]) -> None:
    line = ",".join(["d-1", *map(cell, texts)])

    for separator in ";\t":
        assert not [found for found in cells_of(line, separator) if found.startswith(("=", "+", "-", "@", "＝"))]
    (row,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert not [found for found in row if found.startswith(("=", "+", "-", "@", "＝"))]


@given(st.lists(st.text(st.sampled_from('ab \n\r\t\v\x85\u2028\u2029\x1c,;"'), max_size=8), min_size=2, max_size=4))
def test_readers_that_split_lines_first_read_the_same_rows(texts: list[str]) -> None:
    line = ",".join(map(cell, texts)) + "\r\n"

    assert list(csv.reader(line.splitlines(keepends=True))) == [[defused(text) for text in texts]]


@pytest.mark.parametrize("rows", [[], [message(1)]])
def test_a_byte_order_mark_comes_once_and_first_where_it_is_asked_for(rows: list[KeptMessage]) -> None:
    sheet = CsvEncoder("messages", bom=True)

    data = sheet.block(rows) + sheet.block(rows) + sheet.finish()

    assert data.startswith(b"\xef\xbb\xbf" + HEAD)
    assert data.count(b"\xef\xbb\xbf") == 1
    assert list(pd.read_csv(io.BytesIO(data)).columns) == HEAD.decode().strip().split(",")


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
