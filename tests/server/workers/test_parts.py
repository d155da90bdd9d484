"""The readiness of several workers as one."""

import pytest

from consentful_server.workers.parts import Fault, Parts, joined

STORAGE = Fault("storage")
CHORES = Fault("chores", ("rotation",))


@pytest.mark.parametrize(
    ("workers", "all_of_them"),
    [
        ([], {}),
        ([{"store": None}], {"store": None}),
        ([{"store": None}, {"store": STORAGE}], {"store": STORAGE}),
        ([{"store": STORAGE}, {"store": None}], {"store": STORAGE}),
        ([{"store": STORAGE, "chores": None}, {"store": None, "chores": CHORES}], {"store": STORAGE, "chores": CHORES}),
        ([{}, {"store": None}], {"store": None}),  # the first has not looked yet
    ],
)
def test_a_part_is_ready_if_it_is_in_all(workers: list[Parts], all_of_them: Parts) -> None:
    assert joined(workers) == all_of_them
