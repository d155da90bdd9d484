"""Annotations are sealed under the key of their dialog, and what filters compare says nothing without a key."""

import pytest

from consentful_server.annotations import sealing
from consentful_server.annotations.remark import Remark
from consentful_server.annotations.store import Anchor, SealedAnnotation
from consentful_server.annotations.terms import AnnotationTerms
from consentful_server.keys.vault import Unopenable
from sealed import VAULT

REMARK = Remark(("intent/refund", "tone.rude"), "She sounds upset 😠", "accepted")
PLACE = Anchor(7, 2, "ann")
TERMS = AnnotationTerms(b"t" * 32)


def test_what_was_written_is_read() -> None:
    key = VAULT.new_key()

    sealed = sealing.seal(VAULT, key, "d-1", PLACE, REMARK, 1_000_000)
    shown = sealing.opened(VAULT, key, "d-1", sealed)

    assert shown.remark == REMARK
    assert (shown.dialog_id, shown.seq, shown.annotator, shown.etag) == ("d-1", 2, "ann", sealed.etag)
    assert shown.written_at.timestamp() == 1
    assert sealing.seal(VAULT, key, "d-1", PLACE, REMARK, 1_000_000).etag != sealed.etag
    for shown_as in (repr(shown), repr(sealed), repr(REMARK)):
        assert "refund" not in shown_as
        assert "upset" not in shown_as


@pytest.mark.parametrize("anchor", [Anchor(7, 3, "ann"), Anchor(7, 2, "bob")])
def test_a_seal_opens_at_its_place_alone(anchor: Anchor) -> None:
    key = VAULT.new_key()
    sealed = sealing.seal(VAULT, key, "d-1", PLACE, REMARK, 0)

    with pytest.raises(Unopenable):
        sealing.opened(VAULT, key, "d-1", SealedAnnotation(anchor, sealed.sealed))
    with pytest.raises(Unopenable):
        sealing.opened(VAULT, key, "d-2", sealed)
    with pytest.raises(Unopenable):
        sealing.opened(VAULT, VAULT.new_key(), "d-1", sealed)


def test_terms_are_equal_for_equal_things_and_reveal_none() -> None:
    found = TERMS.of("ann", REMARK)

    assert set(TERMS.wanted(label="tone.rude", review="accepted", annotator="ann")) < set(found)
    assert TERMS.any in found
    assert len(set(found)) == 5
    assert set(AnnotationTerms(b"u" * 32).of("ann", REMARK)).isdisjoint(found)
    assert TERMS.wanted(label="ann") != TERMS.wanted(annotator="ann")
    assert TERMS.wanted() == ()
    assert not any("rude" in term or "ann" in term for term in found)
