"""What is asked for, and where: no word and no customer is in a URL, and what was not meant is not sent."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
import pytest

from consentful import filters
from consentful.filters import Asked

MIDNIGHT = datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize("name", get_type_hints(filters.AnnotationFilters))
def test_filters_of_all_lists_go_into_the_url(name: str) -> None:
    given = {name: "bot"}  # a role as well
    assert filters.messages(given) == Asked("v1/messages", given, in_body=False)
    assert filters.annotations(given) == Asked("v1/annotations", given, in_body=False)
    assert filters.dialogs(given) == Asked("v1/dialogs", given, in_body=False)


def test_what_rows_are_to_show_is_one_parameter() -> None:
    assert filters.dialogs({"include": ("first_text", "metadata")}).values == {"include": "first_text,metadata"}
    assert filters.dialogs({"include": []}).values == {}
    with pytest.raises(TypeError, match="include must be a list of str"):
        filters.dialogs({"include": "metadata"})
    assert filters.messages({"include": ["metadata"]}).values == {"include": "metadata"}
    assert filters.messages({"include": ["metadata"], "q": "x"}).in_body
    with pytest.raises(TypeError, match="unknown filter 'include'"):
        filters.annotations({"include": ["metadata"]})


@pytest.mark.parametrize("shape", ["messages", "dialogs", "chat"])
def test_no_table_has_a_column_for_what_rows_show_beside(shape: filters.Shape) -> None:
    with pytest.raises(ValueError, match="tables have no column for include"):
        filters.table(shape, {"include": ["metadata"]})
    with pytest.raises(ValueError, match="tables have no column for include"):
        filters.lasting({"include": ["metadata"]})
    assert filters.table(shape, {"include": []}).values["format"] == "arrow"


BODY: dict[str, Any] = {"q": "x", "customer_id": "x", "dialog_ids": ["d-1"], "metadata": {"shop": "Graz"}}


@pytest.mark.parametrize("name", BODY)
@pytest.mark.parametrize("ask", [filters.messages, filters.dialogs])
def test_what_must_not_be_logged_goes_into_a_body_with_all_else(ask: Callable[..., Asked], name: str) -> None:
    asked = ask({"role": "bot", name: BODY[name]})

    path = {"messages": "v1/messages/search", "dialogs": "v1/dialogs:search"}[ask.__name__]
    assert asked == Asked(path, {"role": "bot", name: BODY[name]}, in_body=True)
    assert repr(asked) == f"Asked(path='{path}', in_body=True)"


@pytest.mark.parametrize("name", BODY)
def test_annotations_have_no_filter_of_words(name: str) -> None:
    with pytest.raises(TypeError, match=f"unknown filter '{name}'; the filters are: language, customer, .*order"):
        filters.annotations({name: "x"})


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**53, ValueError), (True, ValueError), ("7", TypeError)]
)
def test_a_seed_is_a_number_that_json_can_carry(seed: Any, error: type[Exception]) -> None:
    assert filters.dialogs({"order": "random", "seed": np.int64(7)}).values == {"order": "random", "seed": 7}
    with pytest.raises(error):
        filters.dialogs({"seed": seed})


def test_a_filter_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(TypeError) as refusal:
        filters.messages({"language": "en", "lang": "en"})

    assert "'lang'" in str(refusal.value)
    assert all(name in str(refusal.value) for name in get_type_hints(filters.MessageFilters))


@pytest.mark.parametrize("name", ["since", "until"])
def test_times_are_spelt_with_their_offset(name: str) -> None:
    assert filters.messages({name: MIDNIGHT}).values == {name: "2026-01-31T00:00:00+01:00"}
    assert filters.dialogs({name: "2026-01-31T00:00:00Z"}).values == {name: "2026-01-31T00:00:00Z"}
    with pytest.raises(ValueError, match=f"{name} has no offset"):
        filters.messages({name: MIDNIGHT.replace(tzinfo=None)})


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_date_begins_at_midnight_utc(name: str) -> None:
    assert filters.messages({name: date(2026, 1, 31)}).values == {name: "2026-01-31T00:00:00+00:00"}


def test_subclasses_become_plain_values() -> None:
    spelt = filters.messages({"since": pd.Timestamp("2026-01-31T00:00:00.123456789Z"), "bot": np.str_("shop")}).values

    assert spelt == {"since": "2026-01-31T00:00:00.123456+00:00", "bot": "shop"}
    assert type(spelt["bot"]) is str


@pytest.mark.parametrize("value", [b"en", 1, ["en", "de"], True])
def test_what_is_no_text_is_told_with_the_filters_name(value: Any) -> None:
    with pytest.raises(TypeError, match="language must be a str, not"):
        filters.messages({"language": value})


def test_a_role_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match='customer, bot or agent; for an assistant use "bot"'):
        filters.messages({"role": "assistant"})


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1, ValueError), (True, ValueError), ("5", TypeError)])
def test_a_limit_is_a_positive_number(limit: Any, error: type[Exception]) -> None:
    assert (filters.at_most(None), filters.at_most(5)) == (None, 5)
    with pytest.raises(error):
        filters.at_most(limit)


def test_what_is_none_is_left_out() -> None:
    assert filters.messages({"role": None, "q": None}) == Asked("v1/messages", {})
    assert filters.dialogs({"bot": None}) == Asked("v1/dialogs", {})


@pytest.mark.parametrize("in_body", [False, True])
def test_other_parameters_come_beside_and_the_first_request_is_as_it_was(in_body: bool) -> None:
    asked = Asked("v1/messages", {"role": "bot", "limit": 10}, in_body)

    more = asked.but(limit=20, cursor="c", order=None)

    assert more == Asked("v1/messages", {"role": "bot", "limit": 20, "cursor": "c"}, in_body)
    assert asked.values == {"role": "bot", "limit": 10}


def test_nothing_is_asked_beside_unless_it_is_said() -> None:
    assert (Asked("v1/stats").values, Asked("v1/stats").in_body) == ({}, False)


@pytest.mark.parametrize(
    ("shape", "given", "asked"),
    [
        ("messages", {}, Asked("v1/messages", {"format": "arrow", "shape": "messages"})),
        ("chat", {"bot": "b"}, Asked("v1/messages", {"bot": "b", "format": "arrow", "shape": "chat"})),
        ("chat", {"q": "x"}, Asked("v1/messages/search", {"q": "x", "format": "arrow", "shape": "chat"}, in_body=True)),
        (
            "dialogs",
            {"since": datetime(2026, 1, 1, tzinfo=UTC)},
            Asked("v1/dialogs", {"since": "2026-01-01T00:00:00+00:00", "format": "arrow"}),
        ),
    ],
)
def test_a_table_is_one_stream_of_its_shape(shape: filters.Shape, given: dict[str, Any], asked: Asked) -> None:
    assert filters.table(shape, given) == asked


def test_a_shape_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="messages, dialogs, chat"):
        filters.table("square", {})  # pyright: ignore[reportArgumentType]
