"""What a field expects is said in plain words: no type of Python or msgspec, and never the value."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from consentful.schema_errors import explained

MARKER = "contraband-4711"


class Pair(msgspec.Struct):
    first: int


def said(value: Any, kind: Any) -> str | None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, kind)
    return explained(refused.value, "field")


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (MARKER, int, "a whole number, not a text"),
        (MARKER, int | None, "a whole number or null, not a text"),
        (1.5, int, "a whole number, not a number"),
        (True, int, "a whole number, not true or false"),
        (MARKER, bool, "true or false, not a text"),
        (MARKER, float, "a number, not a text"),
        (4711, str, "a text, not a whole number"),
        (None, str, "a text, not null"),
        ([MARKER], dict, "an object, not a list"),
        ({MARKER: 1}, list, "a list, not an object"),
        (4711, datetime, "a time as in RFC 3339 with an offset, such as 2026-01-31T12:00:00Z, not a whole number"),
        (
            "2026-01-31T12:00:00",
            Annotated[datetime, Meta(tz=True)],
            "a time as in RFC 3339 with an offset, such as 2026-01-31T12:00:00Z",
        ),
        (0, Annotated[int, Meta(ge=1)], "a whole number of at least 1"),
        (4711, Annotated[int, Meta(le=1000)], "a whole number of at most 1,000"),
        ("", Annotated[str, Meta(min_length=1)], "a text of at least 1 character"),
        (MARKER, Annotated[str, Meta(max_length=3)], "a text of at most 3 characters"),
        ([1, 2, 3], Annotated[list[int], Meta(max_length=2)], "a list of at most 2 items"),
        ({"a": 1, "b": 2}, Annotated[dict[str, int], Meta(max_length=1)], "an object of at most 1 field"),
        ([4711], list[str], "a text, not a whole number"),
        ({}, Pair, "the field `first`, which is missing"),
    ],
)
def test_a_wrong_value_is_explained_in_plain_words(value: Any, kind: Any, words: str) -> None:
    assert said(value, kind) == f"Expected {words}"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (MARKER, Literal["a", "b"]),
        (MARKER, datetime),
        (MARKER, Annotated[str, Meta(pattern="^x$")]),
        ({MARKER: []}, dict[str, int]),
    ],
)
def test_no_explanation_quotes_the_value(value: Any, kind: Any) -> None:
    words = said(value, kind) or ""

    assert MARKER not in words
    assert not re.search(r"`(int|str|array|object|bool|float)", words)
