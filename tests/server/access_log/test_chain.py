"""The chain of the access log: no link can be changed, left out, put in or moved, nor the end be cut off."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.access_log.chain import (
    BEGUN,
    DISCLOSED,
    FIRST_LINK,
    SENT,
    Chain,
    Entry,
    Head,
    Link,
    pack,
    unpack,
)

KEY = bytes(range(32))
CHAIN = Chain(KEY)
FIRST = Entry(
    number=1,
    at=2,
    kind="credential",
    who="ann",
    action="messages.read",
    request="r-1",
    subject=None,
    filters=("q", "role"),
    commitment=b"c" * 32,
    rows=3,
    dialogs=pack([1, 2, 300_000]),
)
SECOND = Entry(
    number=2,
    at=3,
    kind="service",
    who="service",
    action="dialog.expired",
    request=None,
    subject="d-1",
    filters=(),
    commitment=None,
    rows=0,
    dialogs=None,
)


def entry(number: int) -> Entry:
    return msgspec.structs.replace(SECOND, number=number, subject=f"d-{number}")


def linked(count: int, chain: Chain = CHAIN) -> tuple[list[Link], Head]:
    links: list[Link] = []
    head = Head()
    for number in range(1, count + 1):
        link, head = chain.follow(head, entry(number))
        links.append(link)
    return links, head


def test_a_log_of_an_earlier_version_still_holds() -> None:
    """A head that was written down elsewhere has to fit for years: these bytes never change."""
    first, head = CHAIN.follow(Head(), FIRST)
    second, end = CHAIN.follow(head, SECOND)

    assert str(head) == "1:0802ee0fd8345d4f572e328d7b073eb1e09bfb60ffb6f4a81742c166f59004b3"
    assert head.seal.hex() == "1609d78f7a83ed1832c2465d03f95cc4f038f1f4a4a9c76f022302e839b738b5"
    assert second.link.hex() == "506823e2205334481cad580a6555e89efa76f6653061dcebecf92e7f96230365"
    assert end.seal.hex() == "a9926457007ebfc6c71769dcfc91f2f07b56d216f50d915e5a809757af4c37c7"
    assert (end.number, end.link) == (2, second.link)
    assert CHAIN.breaks(Head(), [first, second]) == (end, None)


def test_an_empty_log_has_a_head_of_its_own() -> None:
    assert (Head().number, Head().link, Head().seal) == (0, FIRST_LINK, b"")
    assert bytes(32) == FIRST_LINK
    assert CHAIN.breaks(Head(), []) == (Head(), None)
    assert CHAIN.is_genuine(Head())
    assert not CHAIN.is_genuine(Head(0, b"x" * 32))


@pytest.mark.parametrize("start", [0, 2])
def test_links_lead_from_any_head_of_theirs_to_the_last(start: int) -> None:
    links, end = linked(5)
    _, head = linked(start)

    assert CHAIN.breaks(head, links[start:]) == (end, None)


def alter(links: list[Link]) -> None:
    links[2] = Link(msgspec.structs.replace(links[2].entry, who="somebody"), links[2].link)


def alter_link(links: list[Link]) -> None:
    links[2] = Link(links[2].entry, bytes(32))


def remove(links: list[Link]) -> None:
    del links[2]


def insert(links: list[Link]) -> None:
    links.insert(2, links[0])


def swap(links: list[Link]) -> None:
    links[2], links[3] = links[3], links[2]


def renumber(links: list[Link]) -> None:
    """Leave an entry out, and let the later ones, with links of another key, close ranks."""
    head = linked(2)[1]
    link, _ = Chain(b"x" * 32).follow(head, entry(3))
    links[2:] = [link]


@pytest.mark.parametrize("change", [alter, alter_link, remove, insert, swap, renumber])
def test_whatever_is_changed_breaks_the_chain_there(change: Callable[[list[Link]], None]) -> None:
    links, _ = linked(5)

    change(links)

    assert CHAIN.breaks(Head(), links) == (linked(2)[1], 3)


def test_a_number_that_is_left_out_breaks_the_chain_though_the_link_is_ours() -> None:
    first, head = CHAIN.follow(Head(), entry(1))
    third, _ = CHAIN.follow(head, entry(3))

    assert CHAIN.breaks(Head(), [first, third]) == (head, 2)


HEAD = linked(3)[1]
FORGED = {
    "number": Head(2, HEAD.link, HEAD.seal),
    "link": Head(3, linked(2)[1].link, HEAD.seal),
    "seal": Head(3, HEAD.link, linked(2)[1].seal),
    "no seal": Head(3, HEAD.link),
    "key": linked(3, Chain(b"x" * 32))[1],
    "beginning": Head(0, b"x" * 32),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_nobody_goes_on_from_a_head_that_is_not_ours(forged: Head) -> None:
    assert CHAIN.is_genuine(HEAD)
    assert not CHAIN.is_genuine(forged)

    link, after = CHAIN.follow(forged, entry(4))

    assert CHAIN.is_genuine(after), "the log goes on"
    assert CHAIN.breaks(Head(), [*linked(3)[0], link]) == (HEAD, 4), "and every check finds where"


@given(st.sets(st.integers(0, 2**32 - 1), max_size=50))
def test_the_dialogs_of_an_entry_are_all_there(numbers: set[int]) -> None:
    assert set(unpack(pack(numbers))) == numbers


def test_what_hands_words_out_is_told_apart() -> None:
    assert {"messages.streamed", "dialogs.streamed", "annotations.streamed"} == BEGUN
    assert {"messages.sent", "dialogs.sent", "annotations.sent"} == SENT
    assert SENT | {"messages.read", "dialogs.read", "dialog.read", "annotations.read"} == DISCLOSED
