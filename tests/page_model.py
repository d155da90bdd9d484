"""Pages of a store as a model knows them: dialogs of many kinds, the filters, and what each of them must find."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from consentful_server.archive.query import BY_LENGTH, Filter, Horizon, Order, Position, Selection
from consentful_server.archive.store import MessageHead, SealedDialog
from consentful_server.clock import from_micros, to_micros
from sealed import PSEUDONYMS, START, candidate

T0: Final = to_micros(START)
MINUTE: Final = 60_000_000
SCOPE: Final = ("research", "other")
Scope = tuple[str, ...] | None


class Row(NamedTuple):
    """A message as the model knows it."""

    received_at: int
    dialog: int
    seq: int
    role: str
    language: str | None


class Stored(NamedTuple):
    """A dialog as the model knows it."""

    number: int
    sealed: SealedDialog
    rows: list[Row]


def dialog(number: int, chance: random.Random) -> SealedDialog:
    """Return a dialog whose bot, purposes, roles, languages, customer and times vary; many times are equal."""
    at = T0 + number * MINUTE
    languages, roles = ("en", "en", "en-GB", "de", None), ("customer", "bot", "bot", "agent")
    heads = tuple(
        MessageHead(chance.choice(roles), chance.choice(languages), at + seq // 3 * MINUTE)
        for seq in range(chance.randint(1, 6))
    )
    sealed = candidate("d-1", bot=chance.choice(["b-1", "b-2", ""])).sealed
    purposes = chance.choice([("improve",), ("improve", "research"), ("research",)])
    customer = PSEUDONYMS.of(f"c-{chance.randint(1, 5)}")
    record = msgspec.structs.replace(sealed.record, dialog_id=f"d-{number}", purposes=purposes, customer=customer)
    record = msgspec.structs.replace(record, bot=record.bot or None)
    code = number.to_bytes(32, "big")
    return msgspec.structs.replace(
        sealed,
        record=record,
        heads=heads,
        messages=len(heads),
        received_at=heads[-1].received_at,
        opened_at=at,
        withdrawal_hash=code,
    )


def stored_as(number: int, sealed: SealedDialog) -> Stored:
    """Return the dialog as the model knows it, once it has this number."""
    rows = [Row(head.received_at, number, seq, head.role, head.language) for seq, head in enumerate(sealed.heads, 1)]
    return Stored(number, sealed, rows)


def left_of(stored: Sequence[Stored]) -> tuple[list[Stored], list[Stored]]:
    """Return the dialogs that stay, and some that are to be erased: what is left behind must not be found."""
    gone = list(stored[3::10])
    return [it for it in stored if it not in gone], gone


FILTERS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "language": {"language": "en"},
    "role": {"role": "agent"},
    "bot": {"bot": "b-1"},
    "purpose": {"purpose": "research"},
    "customer": {"customer": PSEUDONYMS.of("c-1")},
    "dialog_id": {"dialog_id": "d-7"},
    "dialog_ids": {"dialog_ids": ("d-7", "d-9", "d-31", "d-90", "d-x")},
    "dialog_ids and role": {"dialog_ids": ("d-7", "d-9", "d-31", "d-90"), "role": "bot"},
    "since": {"since": from_micros(T0 + 80 * MINUTE)},
    "until": {"until": from_micros(T0 + 40 * MINUTE)},
    "language and role": {"language": "de", "role": "agent"},
    "bot and customer": {"bot": "b-2", "customer": PSEUDONYMS.of("c-2")},
    "dialog_id and role": {"dialog_id": "d-8", "role": "bot"},
    "role and times": {
        "role": "bot",
        "since": from_micros(T0 + 30 * MINUTE),
        "until": from_micros(T0 + 90 * MINUTE),
    },
    "customer and times": {
        "customer": PSEUDONYMS.of("c-3"),
        "since": from_micros(T0 + 30 * MINUTE),
        "until": from_micros(T0 + 90 * MINUTE),
    },
    "what nothing has": {"language": "is"},
    "after everything": {"since": from_micros(T0 + 10_000 * MINUTE)},
    "before everything": {"until": from_micros(T0)},
}
ORDERS: Final[tuple[Order, ...]] = ("newest", "stored")
DIALOG_ORDERS: Final[tuple[Order, ...]] = (*ORDERS, *BY_LENGTH)
SCOPES: Final = (None, SCOPE)


def _each(orders: Sequence[Order]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("wanted", "order", "scope"),
        list(product(FILTERS, orders, SCOPES)),
        ids=lambda it: it if isinstance(it, str) else "one purpose" if it else "every purpose",
    )


each, each_of_dialogs = _each(ORDERS), _each(DIALOG_ORDERS)


def matches(it: Stored, wanted: Filter, scope: Scope) -> bool:
    record = it.sealed.record
    return (
        wanted.customer in (None, record.customer)
        and wanted.dialog_id in (None, record.dialog_id)
        and (wanted.dialog_ids is None or record.dialog_id in wanted.dialog_ids)
        and wanted.bot in (None, record.bot)
        and (wanted.purpose is None or wanted.purpose in record.purposes)
        and (scope is None or bool({*scope} & {*record.purposes}))
    )


def has(row: Row, wanted: Filter) -> bool:
    language = row.language or ""
    return wanted.role in (None, row.role) and (
        wanted.language is None or language == wanted.language or language.startswith(f"{wanted.language}-")
    )


def within(received_at: int, wanted: Filter) -> bool:
    return (wanted.since is None or received_at >= to_micros(wanted.since)) and (
        wanted.until is None or received_at < to_micros(wanted.until)
    )


def selection(wanted: Filter, order: Order, scope: Scope, **how: Any) -> Selection:
    options: dict[str, Any] = {"limit": 7, "horizon": Horizon(10**6)} | how
    return Selection(filter=wanted, order=order, purposes=scope, **options)


def walk(read: Callable[[Position | None], list[Any]], place: Callable[[Any], Position]) -> list[Any]:
    """Return all rows, page by page."""
    rows: list[Any] = []
    after = None
    while page := read(after):
        rows += page
        after = place(page[-1])
    return rows


def expected_messages(stored: Sequence[Stored], wanted: Filter, order: Order, scope: Scope) -> list[Row]:
    """Return the rows that a walk must show, in order."""
    found = [
        row
        for it in stored
        if matches(it, wanted, scope)
        for row in it.rows
        if has(row, wanted) and within(row.received_at, wanted)
    ]
    return sorted(found, key=lambda row: row[:3] if order == "newest" else row[1:3], reverse=order == "newest")


def expected_dialogs(stored: Sequence[Stored], wanted: Filter, order: Order, scope: Scope) -> list[int]:
    """Return the numbers of the dialogs that a walk must show, in order."""
    found = [
        place_of(it)
        for it in stored
        if matches(it, wanted, scope)
        and within(it.sealed.received_at, wanted)
        and any(has(row, wanted) for row in it.rows)
    ]
    if order == "stored":
        found.sort(key=lambda place: place.dialog)
    else:
        lengths = order in BY_LENGTH
        found.sort(
            key=lambda place: (place.messages if lengths else 0, place.received_at, place.dialog),
            reverse=order != "shortest",
        )
    return [place.dialog for place in found]


def place_of(it: Stored) -> Position:
    """Return the dialog's position in a walk over dialogs."""
    return Position(it.sealed.received_at, it.number, messages=it.sealed.messages)


def alike(dialogs: int) -> Iterator[SealedDialog]:
    """Yield dialogs that are all alike but five, which are the oldest."""
    chance = random.Random(1)
    common = msgspec.structs.replace(dialog(0, chance).record, bot="common", purposes=("improve",))
    rare = msgspec.structs.replace(common, bot="rare", purposes=("research",), customer=PSEUDONYMS.of("rare"))
    for number in range(1, dialogs + 1):
        record = msgspec.structs.replace(rare if number <= 5 else common, dialog_id=f"d-{number}")
        role, language = ("agent", "is") if number <= 5 else ("bot", "en")
        heads = tuple(MessageHead(role, language, T0 + number * MINUTE + seq) for seq in range(10))
        yield msgspec.structs.replace(
            dialog(number, chance), record=record, heads=heads, messages=10, received_at=heads[-1].received_at
        )


VALUES: Final[dict[str, tuple[dict[str, Any], Scope]]] = {
    "nothing": ({}, None),
    "rare role": ({"role": "agent"}, None),
    "common role": ({"role": "bot"}, None),
    "rare language": ({"language": "is"}, None),
    "common language": ({"language": "en"}, None),
    "rare bot": ({"bot": "rare"}, None),
    "common bot": ({"bot": "common"}, None),
    "rare purpose": ({"purpose": "research"}, None),
    "common purpose": ({"purpose": "improve"}, None),
    "rare credential": ({}, ("research",)),
    "common credential": ({}, ("improve",)),
    "rare customer": ({"customer": PSEUDONYMS.of("rare")}, None),
    "long ago": ({"until": from_micros(T0 + 4 * MINUTE)}, None),
    "never": ({"since": from_micros(T0 + 10**6 * MINUTE)}, None),
    "nobody": ({"role": "agent", "language": "en"}, None),
}
