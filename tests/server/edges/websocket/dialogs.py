"""Live dialogs, as tests of the edge begin, replay and lose them."""

import json
import socket
from collections.abc import Callable
from typing import Any

from consentful.wire import Consent, Stored
from consentful_server.testing import FakeClock, Served
from kept import eventually
from live import Live
from receipts import claims_of

MARKER = "contraband-4711"
GRANT = Consent(granted=True, last_seq=1)


async def replay(
    dial: Callable[..., Any], *said: str, customer_id: str = "c-1", token: str | None = None, **fields: str
) -> Live:
    """Return a new connection in which the dialog `d-1` was said from the beginning."""
    live: Live = await dial(token=token)
    await live.open(customer_id, **({"dialog_id": "d-1"} | fields))
    for text in said:
        await live.say(text)
    return live


def advance(service: Served, clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    service.service.registry.tick(clock.monotonic())


async def expect_nothing_left(service: Served) -> None:
    """Nobody is live, and no memory is counted."""
    await eventually(lambda: len(service.service.registry) == 0)
    assert service.service.registry.bytes_used == 0


def claims(stored: Stored) -> dict[str, Any]:
    return claims_of(stored.receipt)


def hang_up(live: Live) -> None:
    """Cut the line, without a closing handshake."""
    line = live.socket.get_extra_info("socket")
    assert line is not None
    line.shutdown(socket.SHUT_RDWR)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
