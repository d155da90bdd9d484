"""A notice's row: what versions of the service that share a database read of each other's."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from consentful_server.consent.notices import Terms, Wording
from consentful_server.stores.notice_row import row_of, wording_of

NAMED = Wording(
    id="n-1",
    language="en",
    text="May we?",
    purposes=("improve", "research"),
    controller="Shop",
    contact="privacy@shop.example",
    retention=timedelta(days=30),
    terms=Terms(jurisdiction="NL"),
    added_at=7,
    purpose_names=("Improving", "Research <&>"),
)
UNNAMED = msgspec.structs.replace(NAMED, purpose_names=())


def read(row: tuple[Any, ...], terms: str | None = None) -> Wording:
    """Read the values of a row, which are written in another order; with other `terms`, if they are given."""
    notice, language, _, text, purposes, controller, contact, days, added_at, retired_at, written = row
    return wording_of(
        (notice, language, text, purposes, controller, contact, days, terms or written, added_at, retired_at)
    )


@pytest.mark.parametrize("wording", [NAMED, UNNAMED], ids=["named", "unnamed"])
def test_a_wording_is_read_as_it_was_written(wording: Wording) -> None:
    assert read(row_of(wording, 7)) == wording


def test_without_names_the_terms_are_what_earlier_versions_write_and_read() -> None:
    *_, terms = row_of(UNNAMED, 7)

    assert msgspec.json.decode(terms, type=Terms) == UNNAMED.terms


@pytest.mark.parametrize("terms", ["{}", '{"of_a_later_version": [1]}'])
def test_members_that_are_absent_or_of_a_later_version_change_nothing(terms: str) -> None:
    assert read(row_of(NAMED, 7), terms) == msgspec.structs.replace(UNNAMED, terms=Terms())


def test_names_are_written_beside_the_terms() -> None:
    *_, terms = row_of(NAMED, 7)

    assert json.loads(terms) == json.loads(msgspec.json.encode(NAMED.terms)) | {
        "purpose_names": ["Improving", "Research <&>"]
    }
