"""What a caller passes: plain values, or an error at the call that names the parameter and says what is taken."""

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

import consentful
from consentful import wire

from .conftest import Opened, Opens
from .scripted import NOTICE, task

MARKER = "w0rds-that-nobody-may-see"


class Word(str):
    """A text of a library's own, which shows itself otherwise."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{MARKER}>"


class Speaker(str, enum.Enum):  # noqa: UP042 - as programs have it
    BOT = "bot"


class Shift(enum.StrEnum):
    BOT = "bot"


@pytest.mark.parametrize("text", [Word("hi"), np.str_("hi")])
async def test_subclasses_of_str_are_said_as_what_they_hold(opened: Opened, text: str) -> None:
    dialog, peer = await opened(customer_id=np.str_("c-1"), language=np.str_("en"), metadata={Word("a"): Word("b")})

    await dialog.say(text, role=Speaker.BOT.value, language=Word("pt-BR"))
    await dialog.say("x", role=Shift.BOT)  # pyright: ignore[reportArgumentType]

    assert peer.opening is not None
    assert (peer.opening.customer_id, peer.opening.metadata) == ("c-1", {"a": "b"})
    assert [(said.text, said.role, said.language) for said in await peer.hear(2)] == [
        ("hi", "bot", "pt-BR"),
        ("x", "bot", None),
    ]


@pytest.mark.parametrize(
    "moment",
    [
        pd.Timestamp("2026-05-01T12:00:00.123456789", tz="Europe/Berlin"),
        pd.Timestamp("2026-05-01T10:00:00.123456", tz="UTC").to_pydatetime(),
        datetime(2026, 5, 1, 10, 53, 28, 123456, timezone(timedelta(minutes=53, seconds=28))),
    ],
)
async def test_subclasses_of_datetime_and_every_offset_are_sent_to_the_microsecond(
    opened: Opened, moment: datetime
) -> None:
    dialog, peer = await opened()

    await dialog.say("hi", sent_at=moment)

    (said,) = await peer.hear(1)
    assert said.sent_at == datetime(2026, 5, 1, 10, 0, 0, 123456, UTC)


NO_TEXTS = [
    b"w0rds",
    bytearray(b"w0rds"),
    None,
    42,
    1.5,
    Decimal(1),
    ["w0rds"],
    {"w0rds": 1},
    uuid4(),
    date(2026, 1, 1),
]


@pytest.mark.parametrize("value", NO_TEXTS, ids=lambda value: type(value).__name__)
async def test_what_is_no_text_is_told_at_the_call_and_uses_no_number(opened: Opened, value: Any) -> None:
    dialog, peer = await opened()

    with pytest.raises(TypeError, match=rf"^text must be a str, not {type(value).__name__}\b") as caught:
        await dialog.say(value)
    await dialog.say("hi")

    assert "w0rds" not in str(caught.value)
    assert [said.seq for said in await peer.hear(1)] == [1]


async def test_bytes_are_told_to_be_decoded(opened: Opened) -> None:
    dialog, _ = await opened()
    hello: Any = b"hello"
    with pytest.raises(TypeError, match="decode it first"):
        await dialog.say(hello)


@pytest.mark.parametrize("name", ["customer_id", "dialog_id", "language", "bot"])
def test_each_parameter_of_a_dialog_is_named(opens: Opens, name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a str, not int"):
        opens(**{name: 42})


@pytest.mark.parametrize("metadata", [[("a", "b")], "a", {"a": 1}, {1: "a"}, {"a": None}])
def test_metadata_are_texts_by_name(opens: Opens, metadata: Any) -> None:
    with pytest.raises(TypeError, match="metadata must be a"):
        opens(metadata=metadata)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"purposes": "improve-chatbot"}, r'^purposes must be a list of str, such as \["improve-chatbot"\], not str'),
        ({"purposes": {"improve-chatbot": True}}, "^purposes must be a list of str"),
        ({"purposes": 1}, "^purposes must be a list of str"),
        ({"purposes": [1]}, "^each of purposes must be a str, not int"),
        ({"notice": NOTICE}, "^notice must be a str, not Notice; pass its id"),
        ({"given_by": None}, "^given_by must be a str"),
    ],
)
async def test_the_parameters_of_a_grant_are_named_and_nothing_is_asked(
    opened: Opened, given: dict[str, Any], told: str
) -> None:
    dialog, _ = await opened()
    await dialog.say("hi")

    with pytest.raises(TypeError, match=told):
        await dialog.grant(**given)


async def test_any_collection_of_purposes_is_taken(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("hi")
    for purposes in (("train",), {"train"}, iter(["train"]), pd.Series(["train"])):
        granting = task(dialog.grant(purposes))  # pyright: ignore[reportArgumentType]
        _, consent = await peer.hear_out()
        assert consent.purposes == ["train"]
        await peer.send(wire.Ack(1))
        await peer.send(wire.Error("purposes", "unknown"))
        with pytest.raises(consentful.Incomplete):
            await granting


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (date(2026, 1, 1), TypeError, "sent_at must be a datetime, not date"),
        ("2026-01-01T00:00:00Z", TypeError, "sent_at must be a datetime, not str; see datetime.fromisoformat"),
        (1767225600, TypeError, "sent_at must be a datetime, not int"),
        (np.datetime64("2026-01-01"), TypeError, "sent_at must be a datetime, not datetime64"),
        (datetime(2026, 1, 1), wire.BadFrame, r"\$\.sent_at: Expected a time with an offset; .*datetime\.now\(UTC\)"),  # noqa: DTZ001
        (pd.Timestamp("2026-01-01"), wire.BadFrame, "offset"),
        (pd.NaT, wire.BadFrame, r"\$\.sent_at: Expected a time"),
        (datetime(9999, 12, 31, tzinfo=UTC), wire.BadFrame, "years 2 to 9998"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(seconds=30))), wire.BadFrame, "years 2 to 9998"),
    ],
)
async def test_what_is_no_moment_is_told_what_to_do(
    opened: Opened, value: Any, kind: type[Exception], told: str
) -> None:
    dialog, _ = await opened()

    with pytest.raises(kind, match=told):
        await dialog.say("hi", sent_at=value)


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("assistant", r'\$\.role: Expected customer, bot or agent; for an assistant use "bot"$'),
        ("User", 'for a user use "customer"$'),
        ("operator", 'use "agent"$'),
        ("system", "was not said"),
        (MARKER, "Expected customer, bot or agent$"),
        ("", "Expected customer, bot or agent$"),
    ],
)
async def test_a_wrong_role_is_told_which_roles_there_are(opened: Opened, role: Any, told: str) -> None:
    dialog, _ = await opened()

    with pytest.raises(consentful.BadFrame, match=told) as caught:
        await dialog.say("hi", role=role)

    assert MARKER not in str(caught.value)
