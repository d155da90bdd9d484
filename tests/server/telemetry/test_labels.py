"""Labels are bounded: whatever clients send makes no series of its own, or the monitoring would be their victim."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from all_routes import every_request
from consentful.wire import Consent, Message, Open
from consentful_server.testing import Served
from live import Live
from raw import exchange
from raw import request as raw_request

from .series import series

Dial = Callable[..., Any]


async def hostile(http: ClientSession, service: Served, dial: Dial, word: str) -> None:
    """Send this word wherever a client may send one."""
    for method, path in every_request(word):
        async with http.request(method, path, headers={"Authorization": f"Bearer {word}"}) as response:
            response.release()
    for method in (word.upper(), "PROPFIND", "M-SEARCH", "GET"):
        await raw_request(service.url, f"/{word}", method=method, host=None)
        await raw_request(service.url, f"/v1/messages/{word}", method=method)
    await exchange(service.url, f"{word}\r\n\r\n".encode(), to_the_end=True)
    await http.post(f"/data/{word}/{word}", json={"text": word, "language": word, "bot": word})
    await http.post(f"/consents/{word}", data="false")
    live: Live = await dial()
    await live.open(word, dialog_id=word, bot=word, language="x-" + word[:8], metadata={word: word})
    await live.say(word, language="x-" + word[:8])
    for frame in (
        Open(word),
        Message(9, word),
        Consent(True, 1, notice=word),
        Consent(True, 1, purposes=[word]),
    ):
        await live.send(frame)
    await live.send_raw(b'{"type":"' + word.encode() + b'"}')
    await live.send(Consent(granted=False, last_seq=1))
    await live.until_closed()


def by_clients(found: dict[str, float]) -> set[str]:
    """Return the series but those of background work, which begins meanwhile."""
    ours = ("consentful_chore_", "consentful_disk_", "consentful_privacy_requests_due")
    return {name for name in found if not name.startswith(ours)}


@pytest.mark.usefixtures("two_purposes")
async def test_a_hostile_client_adds_no_series(service: Served, http: ClientSession, dial: Dial) -> None:
    await hostile(http, service, dial, "first")
    known = by_clients(await series(http))
    for _ in range(3):
        await hostile(http, service, dial, secrets.token_hex(8))
    found = by_clients(await series(http))

    assert found == known
    assert not [name for name in found if "first" in name]
    assert len(found) < 3_000
