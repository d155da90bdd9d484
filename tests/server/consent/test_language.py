"""Languages: one spelling for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful.language import PATTERN, is_well_formed
from consentful_server.consent.language import canonical, fallbacks, label


@pytest.mark.parametrize(
    ("tag", "spelling"),
    [
        ("EN", "en"),
        ("pt-br", "pt-BR"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("iw", "he"),
        ("x-pirate", "x-pirate"),
        ("en_US", "en-US"),
        ("zh_Hant_TW", "zh-Hant-TW"),
        ("qya-latn-gb", "qya-Latn-GB"),
        ("english", "english"),
        ("ENGLISH_latn_gb-X-aa", "english-Latn-GB-x-aa"),
        ("aaaaa-1ABC", "aaaaa-1abc"),
        ("I-Foo", "i-foo"),
    ],
)
def test_a_tag_has_one_spelling(tag: str, spelling: str) -> None:
    assert canonical(tag) == spelling


@given(st.text(max_size=40))
def test_whatever_is_no_tag_is_none_and_spelling_is_stable(text: str) -> None:
    once = canonical(text)

    assert once is None or canonical(once) == once


@given(st.from_regex(PATTERN).filter(is_well_formed))
def test_every_well_formed_tag_has_a_spelling_that_is_well_formed_itself(tag: str) -> None:
    once = canonical(tag)

    assert once is not None
    assert is_well_formed(once)
    assert canonical(once) == once
    assert canonical(tag.replace("-", "_").swapcase()) == once


@given(st.text(max_size=40))
def test_any_text_has_one_form_in_which_it_is_compared(text: str) -> None:
    assert label(label(text)) == label(text)


@pytest.mark.parametrize(("text", "form"), [("EN_us", "en-US"), ("Deutsch (CH)", "deutsch (ch)"), ("IW", "he")])
def test_what_is_no_tag_is_compared_without_case(text: str, form: str) -> None:
    assert label(text) == form


def test_a_tag_falls_back_to_its_parents() -> None:
    assert fallbacks("zh-Hant-TW") == ("zh-Hant-TW", "zh-Hant", "zh")
