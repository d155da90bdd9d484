"""The catalogue: which notice is shown, in which language, and which purposes are granted under it."""

import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from consentful import wire
from consentful_server.consent.notices import Catalogue, PurposeName, Terms, Wording, names_of, read_notice
from consentful_server.errors import BadRequest, UnknownNotice, UnknownPurpose

TERMS = Terms(
    legal_basis="consent",
    recipients=("Annotators Ltd",),
    transfers=("US, SCC",),
    rights=("access",),
    complaint="the authority",
    withdraw="with the code",
    jurisdiction="NL",
    special_categories=True,
)


def wording(notice_id: str = "n-1", language: str = "en", retired_at: int | None = None, **fields: Any) -> Wording:
    given: dict[str, Any] = {
        "text": f"May we? ({notice_id}, {language})",
        "purposes": ("improve", "research", "train"),
        "controller": "Shop",
        "contact": "privacy@shop.example",
        "retention": timedelta(days=30, hours=5),
    }
    return Wording(id=notice_id, language=language, retired_at=retired_at, **(given | fields))


def test_what_is_shown_is_the_whole_of_it() -> None:
    shown = wording(terms=TERMS)

    assert shown.to_wire() == wire.Notice(
        "n-1",
        "en",
        "May we? (n-1, en)",
        hashlib.sha256(b"May we? (n-1, en)").hexdigest(),
        ["improve", "research", "train"],
        wire.Terms(
            controller="Shop",
            contact="privacy@shop.example",
            retention_days=30,
            legal_basis="consent",
            recipients=("Annotators Ltd",),
            transfers=("US, SCC",),
            rights=("access",),
            complaint="the authority",
            withdraw="with the code",
            jurisdiction="NL",
            special_categories=True,
        ),
    )


def test_a_hash_is_of_the_text_in_utf_8() -> None:
    assert wording(text="Dürfen wir?").sha256 == hashlib.sha256("Dürfen wir?".encode()).hexdigest()


class TestLanguages:
    CATALOGUE = Catalogue([wording(language=language) for language in ("nl", "de", "en", "pt-BR", "zh-Hant")])

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ("de", "de"),
            ("de-AT", "de"),
            ("pt-BR", "pt-BR"),
            ("pt", "en"),
            ("zh-Hant-TW", "zh-Hant"),
            ("fr", "en"),
            (None, "en"),
            ("", "en"),
        ],
    )
    def test_the_dialogs_own_then_its_parents_then_english(self, asked: str | None, shown: str) -> None:
        assert self.CATALOGUE.for_language(asked).language == shown

    def test_without_english_the_first_that_there_is(self) -> None:
        catalogue = Catalogue([wording(language="nl"), wording(language="de")])

        assert catalogue.for_language(None).language == "nl"
        assert catalogue.for_language("fr-CA").language == "nl"
        assert catalogue.for_language("de-CH").language == "de"


class TestOffer:
    OLD, RETIRED, NEW = wording("n-1"), wording("n-2", retired_at=5), wording("n-3")

    def test_the_youngest_that_is_not_retired_is_shown(self) -> None:
        assert Catalogue([self.OLD, self.NEW]).for_language("en") == self.NEW
        assert Catalogue([self.OLD, self.RETIRED]).for_language("en") == self.OLD

    def test_an_older_one_lends_no_language(self) -> None:
        catalogue = Catalogue([wording("n-1", "de"), wording("n-3", "en")])

        assert catalogue.for_language("de").id == "n-3"

    def test_what_was_shown_is_found_again_though_it_is_retired(self) -> None:
        catalogue = Catalogue([self.OLD, self.RETIRED, self.NEW])

        assert catalogue.find("n-2", "en") is self.RETIRED
        assert catalogue.shown(self.RETIRED) == self.RETIRED.to_wire()
        assert catalogue.shown(self.NEW) is catalogue.shown(self.NEW)
        for notice_id, language in (("n-2", "de"), ("n-4", "en"), ("en", "n-2")):
            with pytest.raises(UnknownNotice):
                catalogue.find(notice_id, language)


class TestPurposes:
    @pytest.mark.parametrize(
        ("chosen", "granted"),
        [
            (None, ("improve", "research", "train")),
            (["train", "improve"], ("improve", "train")),
            (["research", "research"], ("research",)),
        ],
    )
    def test_those_that_are_named_in_the_notices_order(
        self, chosen: list[str] | None, granted: tuple[str, ...]
    ) -> None:
        assert wording().choose(chosen) == granted

    @pytest.mark.parametrize("chosen", [[], ["sell"], ["improve", "sell"]])
    def test_no_others_and_never_none_at_all(self, chosen: list[str]) -> None:
        with pytest.raises(UnknownPurpose):
            wording().choose(chosen)


FILE = """
id = "n-1"
controller = "Shop"
contact = "privacy@shop.example"
purposes = ["improve", "research"]
retention_days = 30
"""


class TestFiles:
    def test_a_file_is_a_wording_for_each_language(self) -> None:
        de, en = read_notice((FILE + '[text]\nDE-at = "  Dürfen wir? "\nen = "May we?\\n"').encode())

        common: dict[str, Any] = {"purposes": ("improve", "research"), "retention": timedelta(days=30)}
        assert de == wording(language="de-AT", text="Dürfen wir?", **common)
        assert en == wording(language="en", text="May we?", **common)
        assert (en.added_at, en.retired_at) == (0, None)

    def test_what_it_leaves_out_is_as_usual(self) -> None:
        (read,) = read_notice((FILE + '[text]\nen = "May we?"').encode())

        assert msgspec.structs.asdict(read.terms) == {
            "legal_basis": "consent (GDPR art. 6(1)(a))",
            "recipients": (),
            "transfers": (),
            "rights": ("access", "rectification", "erasure", "restriction", "portability", "withdrawal"),
            "complaint": "any data protection authority",
            "withdraw": "with the withdrawal code on the withdrawal page, or by asking the controller",
            "jurisdiction": None,
            "special_categories": False,
        }

    def test_what_it_says_counts(self) -> None:
        said = "".join(
            f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in msgspec.structs.asdict(TERMS).items()
        )

        (read,) = read_notice((FILE + said + '[text]\nen = "May we?"').encode())

        assert read.terms == TERMS

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('id = "n-1"', 'id = ""'),
            ('controller = "Shop"', 'controller = ""'),
            ('contact = "privacy@shop.example"', 'contact = ""'),
            ('purposes = ["improve", "research"]', "purposes = []"),
            ("retention_days = 30", "retention_days = 0"),
            ("retention_days = 30", "retention_days = 36501"),
            ("retention_days = 30", 'retention_days = "30"'),
            ('en = "May we?"', ""),
            ('en = "May we?"', 'en = ""'),
            ("[text]", 'jurisdiction = "nl"\n[text]'),
            ("[text]", 'jurisdiction = "NLD"\n[text]'),
            ("[text]", 'jurisdiction = "NL\\n"\n[text]'),
        ],
    )
    def test_what_is_missing_or_out_of_bounds_is_refused(self, old: str, new: str) -> None:
        file = FILE + '[text]\nen = "May we?"'
        assert old in file

        with pytest.raises(BadRequest, match="notice: not a notice file: "):
            read_notice(file.replace(old, new).encode())

    def test_the_bounds_themselves_are_fine(self) -> None:
        for days in (1, 36_500):
            file = FILE.replace("= 30", f"= {days}") + '[text]\nen = "May we?"'
            assert read_notice(file.encode())[0].retention == timedelta(days=days)

    NAMED = (
        FILE
        + """
[text]
en = "May we?"
DE-at = "Dürfen wir?"
nl = "Mogen wij?"
[purpose_names.EN]
research = "Research"
improve = "Improving the chatbot"
[purpose_names.de-AT]
improve = "Verbesserung"
research = "Forschung <&>"
"""
    )

    def test_purposes_have_names_in_the_languages_that_name_them(self) -> None:
        en, de, nl = read_notice(self.NAMED.encode())

        assert en.names == {"improve": "Improving the chatbot", "research": "Research"}
        assert de.names == {"improve": "Verbesserung", "research": "Forschung <&>"}
        assert nl.names == {}

    def test_names_change_neither_the_hash_nor_anything_else_of_a_notice(self) -> None:
        named = read_notice(self.NAMED.encode())
        unnamed = read_notice(self.NAMED.partition("[purpose_names.EN]")[0].encode())

        assert [it.sha256 for it in named] == [it.sha256 for it in unnamed]
        assert [msgspec.structs.replace(it, purpose_names=()) for it in named] == unnamed

    def test_a_frame_has_names_only_where_the_notice_has_some(self) -> None:
        en, _, nl = read_notice(self.NAMED.encode())

        assert msgspec.to_builtins(en.to_wire())["purpose_names"] == dict(en.names)
        assert "purpose_names" not in msgspec.to_builtins(nl.to_wire())
        assert msgspec.convert(msgspec.to_builtins(nl.to_wire()), wire.Notice).purpose_names is None

    def test_a_customer_reads_the_first_name_that_there_is_and_else_the_id(self) -> None:
        en, de, nl = read_notice(self.NAMED.encode())

        assert names_of(("research", "improve"), [de, en]) == {
            "research": PurposeName("Forschung <&>", "de-AT"),
            "improve": PurposeName("Verbesserung", "de-AT"),
        }
        assert names_of(("research",), [None, nl, en]) == {"research": PurposeName("Research", "en")}
        assert names_of(("research", "other"), [nl, None]) == {
            "research": PurposeName("research"),
            "other": PurposeName("other"),
        }

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("[purpose_names.EN]", "[purpose_names.fr]", "purpose_names: there is no text in fr"),
            ("[purpose_names.EN]", '[purpose_names."no tag"]', "purpose_names: there is no text in no tag"),
            ('research = "Research"\n', "", "purpose_names: in EN each purpose must have one name"),
            ('research = "Research"\n', 'sell = "Selling"\n', "purpose_names: in EN each purpose must have one name"),
            ('"Research"', '""', "notice: not a notice file"),
            ('"Research"', '"a\\nb"', "notice: not a notice file"),
            ('"Research"', f'"{"x" * 201}"', "notice: not a notice file"),
        ],
    )
    def test_names_that_fit_no_text_or_purpose_are_refused(self, old: str, new: str, told: str) -> None:
        assert old in self.NAMED

        with pytest.raises(BadRequest, match=told):
            read_notice(self.NAMED.replace(old, new).encode())

    @pytest.mark.parametrize("file", [b"\xff", b"[", b""])
    def test_what_is_no_toml_is_refused(self, file: bytes) -> None:
        with pytest.raises(BadRequest, match="notice: not a notice file"):
            read_notice(file)
