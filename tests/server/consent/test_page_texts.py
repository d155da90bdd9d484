"""The texts of the withdrawal page: which language is shown, and what the operator's file may be."""

from pathlib import Path

import pytest

from consentful_server.consent.page_texts import choose, read_texts
from consentful_server.errors import BadSetting

TEXTS = read_texts()


@pytest.mark.parametrize(
    ("asked", "accepted", "chosen"),
    [
        (None, "", "en"),
        (None, "de", "de"),
        (None, "DE-at", "de"),
        (None, "fr;q=0.5, it;q=0.7", "it"),
        (None, "fr;q=0, it;q=0.1", "it"),
        (None, "fr;q=x, *", "en"),
        (None, "zh-Hant-TW", "zh"),
        ("ja", "de", "ja"),
        ("tlh", "de", "de"),
        ("", "", "en"),
        (None, ",;q=,,", "en"),
        (None, "xx," * 1000 + "de", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_best_that_is_accepted_or_english(
    asked: str | None, accepted: str, chosen: str
) -> None:
    assert choose(TEXTS, asked, accepted) == chosen


def test_every_language_that_the_default_notice_has_is_there() -> None:
    assert {"en", "de", "es", "fr"} <= TEXTS.keys()
    assert [language for language, texts in TEXTS.items() if texts.dir == "rtl"] == ["ar"]
    assert len({texts.name for texts in TEXTS.values()}) == len(TEXTS)


@pytest.mark.parametrize("content", ["[he]\nname = 'x'", "not toml", "['no tag!']", "\x00"])
def test_a_file_that_lacks_a_text_or_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "texts.toml").write_text(content)

    with pytest.raises(BadSetting, match=r"texts\.toml"):
        read_texts(tmp_path / "texts.toml")


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="No such file"):
        read_texts(tmp_path / "nothing.toml")
