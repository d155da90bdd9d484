"""The rules of a live dialog, as tables and as properties."""

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consentful import wire
from consentful.wire import Consent, Limits, Message, Open
from consentful_server.consent.notices import Catalogue, Wording
from consentful_server.dialogs.dialog import OVERHEAD_BYTES, Declined, Dialog, Granted
from consentful_server.errors import (
    BadRequest,
    Conflict,
    Empty,
    Gap,
    Incomplete,
    OverLimit,
    Refusal,
    UnknownNotice,
    UnknownPurpose,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(max_text_bytes=8, max_dialog_bytes=20, max_messages=4)


def wording(language: str, notice: str = "n-1", purposes: tuple[str, ...] = ("improve", "research")) -> Wording:
    return Wording(
        id=notice,
        language=language,
        text=f"May we? ({language})",
        purposes=purposes,
        controller="Shop",
        contact="privacy@shop.example",
        retention=timedelta(days=30),
    )


CATALOGUE = Catalogue([wording("en", "n-0"), wording("en"), wording("de")])


def dialog(limits: Limits = LIMITS, language: str | None = None) -> Dialog:
    return Dialog.open(Open("c-1", language=language), "d-1", CATALOGUE, limits, NOW)


def holding(*texts: str) -> Dialog:
    opened = dialog()
    for seq, text in enumerate(texts, 1):
        opened.say(Message(seq, text), NOW)
    return opened


REFUSED: dict[str, tuple[Callable[[Dialog], object], type[Refusal]]] = {
    "a gap": (lambda it: it.say(Message(4, "x"), NOW), Gap),
    "another text of a message": (lambda it: it.say(Message(1, "x"), NOW), Conflict),
    "a text over the limit": (lambda it: it.say(Message(3, "123456789"), NOW), OverLimit),
    "a text over the limit in bytes": (lambda it: it.say(Message(3, "äöüßé"), NOW), OverLimit),
    "a language that is none": (lambda it: it.say(Message(3, "x", language="notalanguage"), NOW), BadRequest),
    "consent to more than is held": (lambda it: it.decide(Consent(True, 3), CATALOGUE), Incomplete),
    "consent to less than is held": (lambda it: it.decide(Consent(True, 1), CATALOGUE), Incomplete),
    "an unknown notice": (lambda it: it.decide(Consent(True, 2, notice="n-9"), CATALOGUE), UnknownNotice),
    "an unknown purpose": (lambda it: it.decide(Consent(True, 2, purposes=["spam"]), CATALOGUE), UnknownPurpose),
    "no purpose at all": (lambda it: it.decide(Consent(True, 2, purposes=[]), CATALOGUE), UnknownPurpose),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_event_leaves_no_trace(name: str) -> None:
    event, refusal = REFUSED[name]
    held = holding("a", "b")
    before = (list(held.utterances), held.size)

    with pytest.raises(refusal):
        event(held)

    assert (held.utterances, held.size) == before
    assert isinstance(held.decide(Consent(True, 2), CATALOGUE), Granted)


def test_a_replay_is_held_once() -> None:
    held = holding("a", "b")

    assert held.say(Message(1, "a"), NOW) == 0
    assert [said.text for said in held.utterances] == ["a", "b"]


def test_a_message_over_a_limit_uses_no_number() -> None:
    held = holding("a")
    with pytest.raises(OverLimit) as caught:
        held.say(Message(2, "123456789"), NOW)

    assert caught.value.expected == 2
    assert held.say(Message(2, "short"), NOW) == 5


@pytest.mark.parametrize(
    ("texts", "next_text", "limit"),
    [
        (("12345678", "12345678"), "12345", "max_dialog_bytes"),
        (("a", "b", "c", "d"), "e", "max_messages"),
    ],
)
def test_a_dialog_over_a_limit_keeps_what_was_said_and_can_be_granted(
    texts: tuple[str, ...], next_text: str, limit: str
) -> None:
    held = holding(*texts)
    with pytest.raises(OverLimit) as caught:
        held.say(Message(len(texts) + 1, next_text), NOW)

    assert caught.value.limit == limit
    assert isinstance(held.decide(Consent(True, len(texts)), CATALOGUE), Granted)


def test_consent_to_an_empty_dialog_is_refused() -> None:
    with pytest.raises(Empty):
        dialog().decide(Consent(True, 0), CATALOGUE)


@pytest.mark.parametrize(
    "consent",
    [
        Consent(False, 0),
        Consent(False, 99),
        Consent(False, 2, notice="n-9", purposes=["spam"]),
        Consent(False, 2, retract=True),
    ],
)
def test_a_no_is_never_refused(consent: Consent) -> None:
    for held in (dialog(), holding("a", "b")):
        assert held.decide(consent, CATALOGUE) == Declined(consent.retract)


def test_consent_covers_all_purposes_of_the_notice_shown_unless_it_says_otherwise() -> None:
    granted = holding("a").decide(Consent(True, 1), CATALOGUE)

    assert granted == Granted(CATALOGUE.for_language(None), ("improve", "research"), "self")


def test_consent_may_choose_purposes_and_say_who_gave_it() -> None:
    granted = holding("a").decide(
        Consent(True, 1, purposes=["research", "research"], given_by="representative"), CATALOGUE
    )

    assert isinstance(granted, Granted)
    assert (granted.purposes, granted.given_by) == (("research",), "representative")


def test_the_notice_follows_the_dialogs_language() -> None:
    assert dialog(language="DE").wording.language == "de"
    assert dialog(language="de-AT").wording.language == "de"
    assert dialog(language="ja").wording.language == "en"


def test_another_notice_on_offer_is_taken_in_the_language_that_was_shown() -> None:
    granted = holding("a").decide(Consent(True, 1, notice="n-0"), CATALOGUE)

    assert isinstance(granted, Granted)
    assert (granted.wording.id, granted.wording.language) == ("n-0", "en")


def test_a_message_speaks_the_dialogs_language_unless_it_names_its_own() -> None:
    opened = dialog(language="EN")
    opened.say(Message(1, "Hi"), NOW)
    opened.say(Message(2, "Olá", language="pt-br"), NOW)
    opened.say(Message(3, "Hallo", language="de"), NOW)

    assert [(said.language, said.spelt) for said in opened.utterances] == [
        ("en", "EN"),
        ("pt-BR", "pt-br"),
        ("de", None),
    ]


def test_metadata_over_4_kib_are_refused() -> None:
    frame = Open("c-1", metadata={"k": "v" * 4096})

    with pytest.raises(BadRequest, match="metadata"):
        Dialog.open(frame, "d-1", CATALOGUE, LIMITS, NOW)


def test_no_repr_shows_what_was_said() -> None:
    held = holding("secret")

    assert "secret" not in f"{held!r} {held.utterances!r}"


@given(st.lists(st.integers(1, 12), max_size=40))
def test_whatever_order_messages_come_in_what_is_held_is_a_prefix(order: list[int]) -> None:
    held = dialog(Limits())
    for seq in order:
        try:
            held.say(Message(seq, f"text {seq}"), NOW)
        except Gap as gap:
            assert gap.expected == len(held.utterances) + 1

    assert [said.text for said in held.utterances] == [f"text {seq}" for seq in range(1, len(held.utterances) + 1)]


class Chatbot(RuleBasedStateMachine):
    """A chatbot that sends anything in any order; the model is the list of texts that were accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.dialog = dialog()
        self.model: list[str] = []

    @rule(seq=st.integers(1, 6), text=st.text("aé€", min_size=1, max_size=6))
    def say(self, seq: int, text: str) -> None:
        try:
            added = self.dialog.say(Message(seq, text), NOW)
        except Gap:
            assert seq > len(self.model) + 1
        except Conflict:
            assert text != self.model[seq - 1]
        except OverLimit:
            size = sum(len(said.encode()) for said in self.model)
            assert len(text.encode()) > 8 or size + len(text.encode()) > 20 or seq > 4
        else:
            assert bool(added) == (seq == len(self.model) + 1)
            if added:
                self.model.append(text)
            assert self.model[seq - 1] == text

    @rule(last_seq=st.integers(0, 6))
    def grant(self, last_seq: int) -> None:
        try:
            decision = self.dialog.decide(Consent(True, last_seq), CATALOGUE)
        except Incomplete as incomplete:
            assert last_seq != len(self.model)
            assert incomplete.expected == len(self.model)
        except Empty:
            assert last_seq == 0
            assert not self.model
        else:
            assert isinstance(decision, Granted)
            assert last_seq == len(self.model)

    @invariant()
    def holds_exactly_what_was_accepted(self) -> None:
        assert [said.text for said in self.dialog.utterances] == self.model
        assert self.dialog.size == sum(len(text.encode()) for text in self.model) <= 20


TestAPartialDialogIsNeverGranted = Chatbot.TestCase


def test_a_language_is_one_however_it_is_spelt() -> None:
    assert wire.Open("c", language="EN") != wire.Open("c", language="en")
    first, second = dialog(language="EN"), dialog(language="en")
    for opened in (first, second):
        opened.say(Message(1, "Hi"), NOW)
    assert first.utterances[0].language == second.utterances[0].language


@pytest.mark.parametrize(
    "sent_at",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(1, 12, 31, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14))),
    ],
)
def test_a_time_that_is_none_in_utc_is_refused_and_leaves_no_trace(sent_at: datetime) -> None:
    opened = dialog()

    with pytest.raises(BadRequest, match="sent_at"):
        opened.say(Message(1, "Hi", sent_at=sent_at), NOW)

    assert opened.utterances == []


@pytest.mark.parametrize("text", ["x" * 4000, "é" * 4000, "я" * 4000, "x" * 3999 + "😀", "a\u0301" * 2000])
def test_a_message_counts_with_the_memory_that_its_characters_take(text: str) -> None:
    """One emoji makes CPython keep four bytes for each character, of which UTF-8 has one."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        copy = "".join(list(text))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    counted = dialog(Limits()).say(Message(1, copy), NOW)

    assert counted <= taken <= counted + OVERHEAD_BYTES
