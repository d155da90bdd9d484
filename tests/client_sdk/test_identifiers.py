import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from consentful.identifiers import new_id, uuid7


def test_the_example_of_the_rfc() -> None:  # RFC 9562, appendix A.6
    random = (0xCC3 << 62 | 0x18C4DC0C0C07398F).to_bytes(10, "big")

    assert uuid7(0x017F22E279B0, random) == uuid.UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_version_variant_and_time_are_where_the_rfc_puts_them(milliseconds: int, random: bytes) -> None:
    made = uuid7(milliseconds, random)

    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, milliseconds)


@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_a_later_one_sorts_later(milliseconds: int, one: bytes, other: bytes) -> None:
    assert str(uuid7(milliseconds, one)) < str(uuid7(milliseconds + 1, other))


def test_each_is_new_and_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = {uuid7() for _ in range(1000)}
    after = time.time_ns() // 1_000_000

    assert len(made) == 1000
    assert all(before <= one.int >> 80 <= after for one in made)


def test_a_new_id_is_a_uuid7_of_now_as_text() -> None:
    before, made, after = uuid7(), uuid.UUID(new_id()), uuid7()

    assert str(made) != new_id()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before.int >> 80 <= made.int >> 80 <= after.int >> 80
