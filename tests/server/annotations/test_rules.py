"""The rules for changing an annotation, as a table."""

import pytest

from consentful_server.annotations.rules import on_delete, on_put
from consentful_server.annotations.store import Anchor, Condition, SealedAnnotation
from consentful_server.auth.read_scope import EVERYTHING, ReadScope
from consentful_server.errors import NotFound, Stale

FOUND = SealedAnnotation(Anchor(1, 0, "ann"), b"sealed")
OTHER = '"0123"'
ANY, NEW = Condition(), Condition(is_new=True)
SAME, EVERY, OTHERS = Condition(etags=(OTHER, FOUND.etag)), Condition(etags=("*",)), Condition(etags=(OTHER,))


@pytest.mark.parametrize(
    ("found", "condition"),
    [(None, ANY), (None, NEW), (FOUND, ANY), (FOUND, SAME), (FOUND, EVERY)],
)
def test_what_holds_is_stored(found: SealedAnnotation | None, condition: Condition) -> None:
    assert on_put(("improve",), found, condition, EVERYTHING) is (found is None)


@pytest.mark.parametrize(
    ("found", "condition"),
    [(FOUND, NEW), (FOUND, OTHERS), (None, SAME), (None, EVERY)],
)
def test_what_was_changed_meanwhile_stays(found: SealedAnnotation | None, condition: Condition) -> None:
    with pytest.raises(Stale):
        on_put(("improve",), found, condition, EVERYTHING)
    with pytest.raises(Stale):
        on_delete(found, condition)


def test_a_dialog_that_left_meanwhile_is_not_found() -> None:
    bound = ReadScope(("research",))

    for purposes in (None, ("improve",)):
        with pytest.raises(NotFound):
            on_put(purposes, None, ANY, bound)
    assert on_put(("improve", "research"), None, ANY, bound)


def test_a_repeated_delete_changes_nothing() -> None:
    assert on_delete(FOUND, ANY)
    assert not on_delete(None, ANY)


def test_each_seal_has_a_tag_of_its_own() -> None:
    assert FOUND.etag != SealedAnnotation(FOUND.anchor, b"sealeD").etag
    assert FOUND.etag.startswith('"')
    assert FOUND.etag.endswith('"')
