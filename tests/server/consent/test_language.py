"""Languages: one spelling for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.consent.language import canonical, fallbacks


@pytest.mark.parametrize(
    ("tag", "spelling"),
    [("EN", "en"), ("pt-br", "pt-BR"), ("ZH-hant-tw", "zh-Hant-TW"), ("iw", "he"), ("x-pirate", "x-pirate")],
)
def test_a_tag_has_one_spelling(tag: str, spelling: str) -> None:
    assert canonical(tag) == spelling


@given(st.text(max_size=40))
def test_whatever_is_no_tag_is_none_and_spelling_is_stable(text: str) -> None:
    once = canonical(text)

    assert once is None or canonical(once) == once


def test_a_tag_falls_back_to_its_parents() -> None:
    assert fallbacks("zh-Hant-TW") == ("zh-Hant-TW", "zh-Hant", "zh")
