"""Language ranges, as filters have them."""

import pytest

from consentful_server.archive.query import language_range
from consentful_server.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "meant"), [("EN", "en"), ("pt-br", "pt-BR"), ("*", None), ("iw", "he"), ("pt_BR", "pt-BR")]
)
def test_a_language_range_has_no_case_and_takes_underscores(text: str, meant: str | None) -> None:
    assert language_range(text) == meant


@pytest.mark.parametrize("text", ["", "e", "english language", "en--us", "-"])
def test_what_is_no_language_range_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="language"):
        language_range(text)
