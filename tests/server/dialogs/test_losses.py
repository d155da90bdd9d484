"""Losses by themselves: what is remembered, for how long, and how many."""

import pytest

from consentful_server.dialogs.losses import Losses

KEY = bytes(32)


@pytest.fixture
def losses() -> Losses:
    return Losses(KEY, kept_s=100, most=3)


def test_nothing_was_lost_at_first(losses: Losses) -> None:
    assert losses.of("shop", "d-1", 0) is None


def test_what_was_dropped_is_mended_by_nothing_but_forgetting(losses: Losses) -> None:
    losses.drop("shop", "d-1", "idle", 0)
    losses.refuse("shop", "d-1", "Hi", "limit", 1)
    losses.taken("shop", "d-1", "Hi")

    loss = losses.of("shop", "d-1", 2)
    assert loss is not None
    assert (loss.why, loss.dropped) == ("idle", True)
    losses.forget("shop", "d-1")
    assert losses.of("shop", "d-1", 2) is None


def test_one_refused_message_is_mended_by_the_same_message_alone(losses: Losses) -> None:
    losses.refuse("shop", "d-1", "Hi", "too_often", 0)
    losses.refuse("shop", "d-1", "Hi", "too_often", 1)  # it was tried once more

    losses.taken("shop", "d-1", "Ho")
    losses.taken("shop", "d-2", "Hi")
    losses.taken("other", "d-1", "Hi")
    assert losses.of("shop", "d-1", 2) is not None
    losses.taken("shop", "d-1", "Hi")
    assert losses.of("shop", "d-1", 2) is None


@pytest.mark.parametrize("other", ["Ho", None])
def test_two_refused_messages_are_mended_by_neither(losses: Losses, other: str | None) -> None:
    losses.refuse("shop", "d-1", "Hi", "too_often", 0)
    losses.refuse("shop", "d-1", other, "too_often", 1)

    losses.taken("shop", "d-1", "Hi")
    losses.taken("shop", "d-1", "Ho")

    assert losses.of("shop", "d-1", 2) is not None


def test_a_loss_is_kept_for_its_time(losses: Losses) -> None:
    losses.drop("shop", "d-1", "idle", 7)

    assert losses.of("shop", "d-1", 106.9) is not None
    assert losses.of("shop", "d-1", 107) is None


def test_memory_is_given_back_with_the_next_loss(losses: Losses) -> None:
    losses.drop("shop", "d-1", "idle", 0)
    losses.drop("shop", "d-2", "idle", 50)

    losses.drop("shop", "d-3", "idle", 100)

    assert len(losses) == 2


def test_the_latest_few_are_kept(losses: Losses) -> None:
    for number in range(5):
        losses.drop("shop", f"d-{number}", "idle", number)

    assert [number for number in range(5) if losses.of("shop", f"d-{number}", 5)] == [2, 3, 4]


def test_neighbouring_names_are_not_confused(losses: Losses) -> None:
    losses.drop("ab", "c", "idle", 0)

    assert losses.of("a", "bc", 0) is None


def test_no_id_and_no_text_is_kept(losses: Losses) -> None:
    losses.refuse("shop", "d-1", "secret", "limit", 0)

    kept = repr(vars(losses))
    assert "secret" not in kept
    assert "d-1" not in kept
    assert "shop" not in kept
