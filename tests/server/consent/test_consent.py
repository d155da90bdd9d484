"""Notices and records: what was shown can be named by its hash, and every word of the record counts."""

import hashlib
from typing import Any

import msgspec
import pytest

from consentful_server.consent.notices import Catalogue, default_notice
from consentful_server.consent.record import Record, canonical_content

RECORD = Record(
    dialog_id="d-1",
    customer="cus_x",
    owner="shop",
    bot=None,
    channel="websocket",
    notice_id="n-1",
    notice_language="en",
    notice_sha256="00",
    purposes=("a", "b"),
    given_by="self",
    decided_at=1,
    expires_at=2,
)


@pytest.mark.parametrize("field", Record.__struct_fields__)
def test_every_field_of_the_record_changes_its_digest(field: str) -> None:
    value: Any = getattr(RECORD, field)
    other: Any = value + 1 if isinstance(value, int) else (*value, "c") if isinstance(value, tuple) else f"{value}!"

    assert msgspec.structs.replace(RECORD, **{field: other}).digest() != RECORD.digest()


def test_the_default_notice_says_what_art_13_asks_for_in_each_language() -> None:
    catalogue = Catalogue(default_notice())

    assert [wording.language for wording in catalogue.wordings] == ["en", "de", "fr", "es"]
    for wording in catalogue.wordings:
        assert wording.sha256 == hashlib.sha256(wording.text.encode()).hexdigest()
        assert wording.purposes == ("improve-chatbot",)
        assert wording.retention.days == 365
        assert len(wording.text) > 500
        assert catalogue.shown(wording).text == wording.text


def test_content_is_the_same_only_if_every_message_is() -> None:
    said = [(1, "customer", "Hi", "en"), (2, "bot", "Hello", None)]
    same = canonical_content("c-1", "n-1", said)

    assert canonical_content("c-1", "n-1", iter(said)) == same
    for other in (
        canonical_content("c-2", "n-1", said),
        canonical_content("c-1", "n-2", said),
        canonical_content("c-1", "n-1", said[:1]),
        canonical_content("c-1", "n-1", [(1, "bot", "Hi", "en"), said[1]]),
        canonical_content("c-1", "n-1", [(1, "customer", "Hi!", "en"), said[1]]),
        canonical_content("c-1", "n-1", [(1, "customer", "Hi", "de"), said[1]]),
    ):
        assert other != same
