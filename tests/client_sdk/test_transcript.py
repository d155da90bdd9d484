from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful import TooLong, wire
from consentful.close_codes import Lost
from consentful.transcript import WINDOW_BYTES, WINDOW_MESSAGES, Transcript, checked

NOW = datetime(2026, 1, 2, tzinfo=UTC)
JSON = wire.CODECS[wire.JSON]
YES = wire.Consent(granted=True, last_seq=1)
NO = wire.Consent(granted=False, last_seq=1)


def said(*texts: str, limits: wire.Limits | None = None) -> Transcript:
    transcript = Transcript(wire.Open("c-1", dialog_id="d-1"))
    for text in texts:
        say(transcript, text, limits)
    return transcript


def say(transcript: Transcript, text: str, limits: wire.Limits | None = None) -> None:
    transcript.add(transcript.compose(text, "customer", None, NOW, limits or wire.Limits(), JSON))


def unsent(transcript: Transcript) -> list[int | bool]:
    """What `next` hands out: numbers of messages, and whether consent is given."""
    handed: list[int | bool] = []
    while (frame := transcript.next()) is not None:
        handed.append(frame.seq if isinstance(frame, wire.Message) else frame.granted)
    return handed


def test_each_message_is_handed_out_once() -> None:
    transcript = said("a", "b")
    assert unsent(transcript) == [1, 2]

    say(transcript, "c")

    assert unsent(transcript) == [3]


def test_a_new_socket_carries_everything_again_and_the_question_last() -> None:
    transcript = said("a", "b")
    transcript.ask(YES)
    assert unsent(transcript) == [1, 2, True]

    transcript.restart()

    assert unsent(transcript) == [1, 2, True]


def test_nothing_is_owed_and_nothing_asked_at_first() -> None:
    transcript = said()

    assert transcript.opening == wire.Open("c-1", dialog_id="d-1")
    assert (len(transcript), transcript.size, transcript.count) == (0, 0, 0)
    assert transcript.has_caught_up
    assert (transcript.is_unanswered, transcript.in_doubt) == (False, False)
    assert unsent(transcript) == []


def test_a_question_is_unanswered_once_it_was_sent_until_the_next_socket() -> None:
    transcript = said("a")
    transcript.ask(YES)
    assert not transcript.is_unanswered

    unsent(transcript)
    assert transcript.is_unanswered

    transcript.restart()
    assert not transcript.is_unanswered


def test_another_question_takes_the_place_of_the_one_that_was_sent() -> None:
    transcript = said("a")
    transcript.ask(YES)
    unsent(transcript)

    transcript.ask(NO)

    assert unsent(transcript) == [False]


def test_a_question_that_was_refused_is_not_asked_again_by_itself() -> None:
    transcript = said("a")
    transcript.ask(YES)
    unsent(transcript)
    transcript.ack(1)

    transcript.refuse()

    assert transcript.has_caught_up
    assert unsent(transcript) == []
    transcript.ask(YES)
    assert unsent(transcript) == [True]


def test_what_is_settled_is_let_go_and_never_sent_again() -> None:
    transcript = said("a", "b")
    transcript.ask(YES)
    unsent(transcript)
    transcript.ack(2)

    transcript.settle()
    transcript.restart()

    assert (len(transcript), transcript.size, transcript.count) == (0, 0, 2)
    assert unsent(transcript) == []
    assert transcript.has_caught_up
    assert transcript.has_room


def test_a_gap_is_filled_once_however_often_it_is_complained_about() -> None:
    transcript = said("a", "b", "c", "d")
    unsent(transcript)

    transcript.fill_gap(2)
    assert transcript.next() == wire.Message(2, "b", sent_at=NOW)
    transcript.fill_gap(2)

    assert unsent(transcript) == [3, 4]


@pytest.mark.parametrize(("held", "again"), [(0, [1, 2, True]), (1, [2, True]), (2, [True])])
def test_everything_that_a_server_may_have_is_gone_on_from(held: int, again: list[int | bool]) -> None:
    gap, short = said("a", "b"), said("a", "b")
    for transcript in (gap, short):
        transcript.ask(YES)
        unsent(transcript)

    gap.fill_gap(held + 1)
    short.complete(held)

    assert unsent(gap) == again[:-1], "the question was asked already"
    assert unsent(short) == again


def test_a_new_socket_may_complain_of_the_same_again() -> None:
    transcript = said("a", "b")
    transcript.ask(YES)
    unsent(transcript)
    transcript.fill_gap(2)
    transcript.complete(1)
    transcript.restart()
    unsent(transcript)

    transcript.fill_gap(2)
    assert unsent(transcript) == [2]
    transcript.complete(1)

    assert unsent(transcript) == [2, True]


def test_an_incomplete_dialog_is_completed_and_asked_about_again() -> None:
    transcript = said("a", "b", "c")
    transcript.ask(YES)
    unsent(transcript)

    transcript.complete(1)

    assert unsent(transcript) == [2, 3, True]


def test_a_gap_and_the_complaint_about_consent_that_follows_it_are_mended_together() -> None:
    transcript = said("a", "b", "c")
    transcript.ask(YES)
    unsent(transcript)

    transcript.fill_gap(2)
    assert unsent(transcript) == [2, 3]
    transcript.complete(1)

    assert unsent(transcript) == [2, 3, True]


def test_a_server_that_makes_no_progress_is_left() -> None:
    transcript = said("a", "b")
    transcript.ask(YES)
    unsent(transcript)
    transcript.complete(1)
    unsent(transcript)

    with pytest.raises(Lost):
        transcript.complete(1)


@pytest.mark.parametrize("expected", [0, 4, 100])
def test_a_server_that_lost_count_is_left(expected: int) -> None:
    transcript = said("a", "b")
    unsent(transcript)

    with pytest.raises(Lost):
        transcript.fill_gap(expected)


class TestDoubt:
    def test_none_while_the_question_is_not_sent(self) -> None:
        transcript = said("a")
        transcript.ask(YES)

        assert not transcript.in_doubt

    def test_a_grant_that_was_sent_is_in_doubt_until_it_is_settled(self) -> None:
        transcript = said("a")
        transcript.ask(YES)
        unsent(transcript)
        assert transcript.in_doubt

        transcript.settle()

        assert not transcript.in_doubt

    def test_a_no_is_never_in_doubt(self) -> None:
        transcript = said("a")
        transcript.ask(NO)
        unsent(transcript)

        assert not transcript.in_doubt

    def test_a_refusal_takes_it_away(self) -> None:
        transcript = said("a")
        transcript.ask(YES)
        unsent(transcript)

        transcript.refuse()

        assert not transcript.in_doubt

    def test_a_refusal_does_not_take_away_the_doubt_about_an_earlier_socket(self) -> None:
        transcript = said("a")
        transcript.ask(YES)
        unsent(transcript)
        transcript.restart()
        unsent(transcript)

        transcript.refuse()

        assert transcript.in_doubt

    def test_a_refusal_of_what_this_socket_never_asked_takes_nothing_away(self) -> None:
        transcript = said("a")
        transcript.ask(YES)
        unsent(transcript)
        transcript.restart()

        transcript.refuse()

        assert transcript.in_doubt

    def test_a_no_does_not_take_away_the_doubt_about_an_earlier_yes(self) -> None:
        transcript = said("a")
        transcript.ask(YES)
        unsent(transcript)
        transcript.restart()

        transcript.ask(NO)
        unsent(transcript)

        assert transcript.in_doubt

    @pytest.mark.parametrize("sockets", [1, 2])
    def test_a_grant_that_is_taken_back_is_as_if_this_socket_never_sent_it_and_goes_to_the_next(
        self, sockets: int
    ) -> None:
        transcript = said("a")
        transcript.ask(YES)
        for _ in range(sockets):
            transcript.restart()
            unsent(transcript)

        transcript.take_back()

        assert transcript.in_doubt is (sockets == 2)
        transcript.restart()
        assert unsent(transcript) == [1, True]

    def test_an_incomplete_grant_is_as_if_it_was_never_sent(self) -> None:
        transcript = said("a", "b")
        transcript.ask(YES)
        unsent(transcript)

        transcript.complete(1)

        assert not transcript.in_doubt


class TestRefused:
    @pytest.mark.parametrize(("seq", "number"), [(2, 2), (None, 2), (3, 3), (1, None), (4, None), (0, None)])
    def test_an_error_is_about_a_message_that_was_sent_and_not_acked(self, seq: int | None, number: int | None) -> None:
        transcript = said("a", "b", "c")
        unsent(transcript)
        transcript.ack(1)

        assert transcript.refused(seq) == number

    def test_none_is_refused_where_an_earlier_socket_may_have_stored_them_all(self) -> None:
        transcript = said("a")
        transcript.ask(YES)
        unsent(transcript)
        assert transcript.refused(1) == 1, "this socket's consent came behind it"

        transcript.restart()
        assert transcript.next() == wire.Message(1, "a", sent_at=NOW)
        assert transcript.refused(1) is None
        unsent(transcript)

        assert transcript.refused(1) is None

    @given(st.lists(st.integers(1, 4000), min_size=1, max_size=30), st.data())
    def test_what_is_left_is_as_if_it_alone_had_been_said(self, sizes: list[int], data: st.DataObject) -> None:
        texts = ["x" * size for size in sizes]
        acked = data.draw(st.integers(0, len(texts)))
        gone = data.draw(st.integers(1, len(texts)))
        transcript = said(*texts)
        unsent(transcript)
        transcript.ack(acked)
        transcript.restart()
        unsent(transcript)

        transcript.take_out(gone)
        transcript.restart()

        left = texts[: gone - 1] + texts[gone:]
        unacked = left[acked - (gone <= acked) :]
        assert (transcript.count, transcript.size) == (len(left), sum(map(len, left)))
        assert transcript.has_room == (len(unacked) < WINDOW_MESSAGES and sum(map(len, unacked)) < WINDOW_BYTES)
        assert [transcript.next() for _ in left] == [
            wire.Message(seq, text, sent_at=NOW) for seq, text in enumerate(left, 1)
        ]
        assert transcript.next() is None

    def test_the_consent_behind_it_is_taken_back_without_a_doubt(self) -> None:
        transcript = said("a", "b")
        transcript.ask(YES)
        unsent(transcript)

        transcript.take_out(2)

        assert (transcript.in_doubt, transcript.is_unanswered, transcript.consent) == (False, False, None)


class TestWindow:
    def test_it_is_as_wide_as_the_protocol_says(self) -> None:
        assert (WINDOW_MESSAGES, WINDOW_BYTES) == (64, 262_144)

    def test_so_many_messages_may_be_unacked(self) -> None:
        transcript = said(*["x"] * (WINDOW_MESSAGES - 1))
        assert transcript.has_room

        say(transcript, "x")

        assert not transcript.has_room

    def test_so_many_bytes_may_be_unacked(self) -> None:
        transcript = said(*["x" * 32 * 1024] * (WINDOW_BYTES // (32 * 1024)))
        assert not transcript.has_room

        transcript.ack(1)

        assert transcript.has_room

    @given(st.lists(st.integers(1, 4000), min_size=1, max_size=200), st.data())
    def test_an_ack_makes_room_for_everything_before_it(self, sizes: list[int], data: st.DataObject) -> None:
        transcript = said(*["x" * size for size in sizes])
        unsent(transcript)
        seq = data.draw(st.integers(0, len(sizes)))

        transcript.ack(seq)

        left = sizes[seq:]
        assert transcript.has_room == (len(left) < WINDOW_MESSAGES and sum(left) < WINDOW_BYTES)

    def test_what_was_acked_once_leaves_room_on_the_next_socket(self) -> None:
        transcript = said(*["x"] * WINDOW_MESSAGES)
        unsent(transcript)
        transcript.ack(WINDOW_MESSAGES)

        transcript.restart()

        assert transcript.has_room

    def test_an_ack_of_what_was_never_said_is_taken_for_what_was(self) -> None:
        transcript = said("a")

        transcript.ack(1000)

        say(transcript, "b")
        assert unsent(transcript) == [1, 2]

    def test_a_late_ack_after_everything_is_forgotten_does_no_harm(self) -> None:
        transcript = said("a", "b")
        unsent(transcript)
        transcript.ack(1)
        transcript.forget()

        transcript.ack(2)

        assert transcript.has_room
        assert (len(transcript), transcript.size, transcript.count) == (0, 0, 2)


class TestRegained:
    def test_when_all_that_was_said_before_is_acked(self) -> None:
        transcript = said("a", "b")
        transcript.restart()
        say(transcript, "c")
        unsent(transcript)
        transcript.ack(1)
        assert not transcript.has_caught_up

        transcript.ack(2)

        assert transcript.has_caught_up

    def test_not_while_a_question_is_open(self) -> None:
        transcript = said()
        transcript.ask(YES)

        assert not transcript.has_caught_up


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "texts"),
        [
            (wire.Limits(max_text_bytes=3), ["abcd"]),
            (wire.Limits(max_text_bytes=3), ["éé"]),
            (wire.Limits(max_dialog_bytes=5), ["abc", "def"]),
            (wire.Limits(max_messages=1), ["a", "b"]),
            (wire.Limits(max_frame_bytes=100), ["\x01" * 20]),
        ],
    )
    def test_what_would_break_one_is_too_long_and_leaves_no_trace(self, limits: wire.Limits, texts: list[str]) -> None:
        transcript = said(*texts[:-1], limits=limits)

        with pytest.raises(TooLong):
            say(transcript, texts[-1], limits)

        assert transcript.count == len(texts) - 1
        assert len(unsent(transcript)) == len(texts) - 1

    def test_what_just_fits_fits(self) -> None:
        limits = wire.Limits(max_text_bytes=4, max_dialog_bytes=8, max_messages=2)

        transcript = said("éé", "abcd", limits=limits)

        assert transcript.size == 8

    def test_a_frame_that_just_fits_fits(self) -> None:
        frame = len(checked(wire.Message(1, "a", "customer", None, NOW), JSON))

        assert said("a", limits=wire.Limits(max_frame_bytes=frame)).count == 1
        with pytest.raises(TooLong, match=f"exceeds {frame - 1} bytes"):
            said("a", limits=wire.Limits(max_frame_bytes=frame - 1))

    def test_a_novel_is_not_even_encoded(self) -> None:
        never: Any = None
        with pytest.raises(TooLong):
            said().compose("x" * 4, "customer", None, NOW, wire.Limits(max_text_bytes=3), never)


class TestChecked:
    def test_an_empty_text_is_a_mistake(self) -> None:
        with pytest.raises(wire.BadFrame, match="text"):
            say(said(), "")

    def test_a_lone_surrogate_is_a_mistake_and_no_exception_carries_the_text(self) -> None:
        with pytest.raises(wire.BadFrame) as caught:
            checked(wire.Message(1, "secret \ud800"), JSON)

        assert caught.value.__context__ is None
        assert caught.value.path == "$"
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("year", [1, 9999])
    def test_a_time_that_cannot_be_stored_is_a_mistake(self, year: int) -> None:
        with pytest.raises(wire.BadFrame) as caught:
            checked(wire.Message(1, "a", sent_at=NOW.replace(year=year)), JSON)

        assert caught.value.path == "$.sent_at"

    @pytest.mark.parametrize(
        "frame", [wire.Open("c-1"), YES, wire.Message(1, "a"), wire.Message(1, "a", sent_at=NOW.replace(year=9998))]
    )
    def test_what_a_server_accepts_is_encoded(self, frame: wire.FromClient) -> None:
        assert JSON.decode_client(checked(frame, JSON)) == frame

    def test_a_time_without_an_offset_is_a_mistake(self) -> None:
        with pytest.raises(wire.BadFrame, match="sent_at"):
            checked(wire.Message(1, "a", sent_at=datetime(2026, 1, 1)), JSON)  # noqa: DTZ001


def test_a_repr_shows_no_words() -> None:
    transcript = said("secret")

    assert repr(transcript) == "Transcript(messages=1, acked=0)"
