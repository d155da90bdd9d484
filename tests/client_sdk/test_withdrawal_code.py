"""Withdrawal codes: read as they were meant, whatever a mail program, a document or a keyboard made of them."""

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful.withdrawal_code import ALPHABET, LENGTH, LONGEST, readings

SHOWN = "HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I"
CODE = SHOWN.replace("-", "")

FULL_WIDTH = str.maketrans(string.printable[:95], "".join(chr(ord(c) + 0xFEE0) for c in string.printable[:95]))


@pytest.mark.parametrize(
    "text",
    [
        SHOWN,
        CODE,
        SHOWN.lower(),
        SHOWN.title(),
        f"  {SHOWN}\r\n",
        SHOWN.replace("-", " "),
        SHOWN.replace("-", ""),
        SHOWN.replace("-", " - "),
        *(
            SHOWN.replace("-", dash)
            for dash in "\u00ad\u058a\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d_.·/|"
        ),
        *(SHOWN.replace("-", space) for space in "\t\n\r\v\f\xa0\u2002\u2009\u202f\u205f\u3000\u2028\u2029\x85"),
        *(SHOWN[:8] + joiner + SHOWN[8:] for joiner in "\u200b\u200c\u200d\u2060\ufeff\u200e\u202a\u2066\u180e\u034f"),
        *(
            f"{opening}{SHOWN}{closing}"
            for opening, closing in ('""', "''", "“”", "„“", "«»", "‹›", "()", "[]", "``", "**")
        ),
        SHOWN + ".",
        SHOWN + ",",
        SHOWN.translate(FULL_WIDTH),
        CODE.translate(FULL_WIDTH),
        "".join(chr(0x1D400 + ord(c) - 65) if c in string.ascii_uppercase else c for c in SHOWN),  # mathematical bold
        SHOWN.replace("4", "\u0664").replace("7", "\u096d").replace("5", "\u06f5"),  # Arabic, Devanagari, Persian
        SHOWN.replace("H", "\u041d").replace("B", "\u0392").replace("P", "\u0420"),  # Cyrillic and Greek
        SHOWN.lower().replace("i", "\u0131"),  # a Turkish keyboard
        SHOWN.replace("I", "\u0130"),
        SHOWN.replace("I", "1"),
        SHOWN.replace("I", "l"),
        SHOWN.replace("L", "1"),
        SHOWN.replace("L", "I").replace("I", "l"),
        "HDSBL-47IYD-PCI\r\nDD-SIS5C-M5LPW-I",
        "> HDSBL-47IYD-\r\n> PCIDD-SIS5C-M5LPW-I",
        "HDSBL-47IYD-PCI=\r\nDD-SIS5C-M5LPW-I",
        "HDSBL=2D47IYD=2DPCIDD=20=0D=0ASIS5C-M5LPW-I=20",
        SHOWN.replace("-", "=E2=80=91"),
        SHOWN.replace("-", "=C2=AD"),
        "HDSBL-47IYD%0D%0APCIDD%20SIS5C%2DM5LPW-I%0A",
        SHOWN.replace("-", "%E2%80%93"),
        SHOWN.replace("-", "&#8209;"),
        SHOWN.replace("-", "&nbsp;&ndash;&nbsp;"),
        SHOWN.replace("-", "-<br>"),
        SHOWN.replace("-", "-<wbr/>"),
        f'<p class="code"><strong>{SHOWN}</strong></p>',
        SHOWN.replace("-", "\\n"),
        f"Code: {SHOWN}",
        f"Your withdrawal code:\r\n{SHOWN}\r\n",
        f"code={SHOWN}",
        f"https://shop.example/withdraw?code={SHOWN}",
        f"https://shop.example/withdraw?lang=de#{SHOWN}",
        f"<https://shop.example/withdraw?lang=de#{SHOWN}>",
    ],
)
def test_a_code_is_read_as_it_was_meant(text: str) -> None:
    assert CODE in readings(text)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("0", "O"),
        ("o", "O"),
        ("8", "B"),
        ("b", "B"),
        ("1", "I"),
        ("1", "L"),
        ("l", "I"),
        ("l", "L"),
        ("I", "L"),
        ("L", "I"),
    ],
)
def test_what_no_code_contains_is_taken_for_what_looks_like_it(typed: str, meant: str) -> None:
    assert "A" * 25 + meant in readings("A" * 25 + typed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        CODE[:-1],
        CODE + "A",
        CODE.replace("4", "9"),
        CODE.replace("H", "Щ"),
        SHOWN + " " + SHOWN,
        "AAAAA-BBBBB",
        "please erase my conversation",
        "=" * 26,
        "%41" * 26,
        " " * LONGEST + CODE,
    ],
)
def test_what_is_no_code_has_no_reading(text: str) -> None:
    assert readings(text) == ()


def test_a_code_as_it_was_spelt_comes_first() -> None:
    assert readings(SHOWN)[0] == CODE
    assert readings(SHOWN.replace("I", "L"))[0] == CODE.replace("I", "L")
    assert readings("O" * LENGTH) == ("O" * LENGTH,)


def test_the_readings_are_few_and_all_different() -> None:
    many = readings("1" * LENGTH)

    assert len(many) == len(set(many)) == 64
    assert many[0] == "I" * LENGTH


codes = st.text(st.sampled_from(sorted(ALPHABET)), min_size=LENGTH, max_size=LENGTH)
noise = st.text(
    st.characters(codec="utf-8", categories=("Zs", "Zl", "Zp", "Cc", "Cf", "Pd", "Pi", "Pf", "Mn")), max_size=3
)
manners: list[Callable[[str], str]] = [str.upper, str.lower, str.swapcase, lambda code: code.translate(FULL_WIDTH)]


@given(codes, st.lists(noise, min_size=LENGTH + 1, max_size=LENGTH + 1), st.sampled_from(manners))
def test_whatever_stands_between_the_letters_every_code_is_read(
    code: str, between: list[str], manner: Callable[[str], str]
) -> None:
    text = "".join(mark + letter for mark, letter in zip(between, [*manner(code), ""], strict=True))

    assert readings(text)[0] == code


@given(st.text(max_size=60) | st.text(st.sampled_from("AI1l0-=%2&;#<>: \r\n\\"), max_size=60))
def test_no_text_makes_it_fail_and_every_reading_is_a_code(text: str) -> None:
    found = readings(text)

    assert len(found) <= 64
    assert all(len(code) == LENGTH and ALPHABET.issuperset(code) for code in found)


@given(codes)
def test_reading_what_was_read_changes_nothing(code: str) -> None:
    assert readings(readings(code)[0])[0] == code
