"""The blocks of a stream: long ones are faster, short ones let decisions go first."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from consentful_server.archive.priority import Priority
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.reading.streams import Stream
from consentful_server.testing import Served
from kept import keep

DIALOGS, MESSAGES = 30, 60


async def valid() -> None:
    """A credential that has neither expired nor been revoked."""


def decided(priority: Priority) -> AbstractContextManager[None]:
    return priority.decision()


def idle(_: Priority) -> AbstractContextManager[None]:
    return nullcontext()


@pytest.mark.parametrize(("meanwhile", "longest"), [(idle, 500), (decided, 250)])
async def test_blocks_are_short_while_dialogs_are_decided(
    service: Served,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Priority], AbstractContextManager[None]],
    longest: int,
) -> None:
    for number in range(DIALOGS):
        await keep(service.service, f"d-{number}", ["Hi"] * MESSAGES)
    priority = Priority()  # the dialogs above were decided just now
    monkeypatch.setattr(service.service.streams, "_priority", priority)
    stream = Stream("ndjson", "messages", Filter(), ReadScope(), "stored")

    with meanwhile(priority):
        blocks = [data.count(b"\n") async for data in service.service.streams.run(stream, check=valid)]

    assert sum(blocks) == DIALOGS * MESSAGES
    assert max(blocks) == longest
