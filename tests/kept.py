"""What a data scientist sees of what was kept, for tests that look at it over REST."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful import wire
from consentful.wire import Consent, Message, Open
from consentful_server.access_log.chain import Actor
from consentful_server.access_log.store import Note
from consentful_server.annotations.remark import WHOLE, Remark
from consentful_server.annotations.store import Condition
from consentful_server.archive.query import Filter
from consentful_server.auth.read_scope import ReadScope
from consentful_server.dialogs.dialog import Dialog, Granted
from consentful_server.exports.store import Export
from consentful_server.service import Service


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


async def get(http: ClientSession, path: str, *, token: str | None = None, **params: Any) -> Any:
    """Return the JSON of an answer that must be 200."""
    async with http.get(path, params=params, headers=bearer(token)) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def messages(http: ClientSession, *, token: str | None = None, **params: Any) -> list[dict[str, Any]]:
    """Return one page of messages."""
    return (await get(http, "/v1/messages", token=token, **params))["items"]


async def texts(http: ClientSession, *, token: str | None = None, **params: Any) -> list[str]:
    return [message["text"] for message in await messages(http, token=token, **params)]


async def keep(
    service: Service,
    dialog_id: str,
    said: Sequence[str | Message] = ("Hi",),
    *,
    customer_id: str = "c-1",
    owner: str = "local",
    purposes: list[str] | None = None,
    **fields: Any,
) -> wire.Stored:
    """Store a granted dialog without a connection."""
    catalogue, now = service.catalogue, service.clock.now()
    dialog = Dialog.open(Open(customer_id, dialog_id, **fields), dialog_id, catalogue, service.limits, now)
    for seq, what in enumerate(said, 1):
        dialog.say(what if isinstance(what, Message) else Message(seq, what), now)
    granted = dialog.decide(Consent(True, len(said), purposes=purposes), catalogue)
    assert isinstance(granted, Granted)
    return await service.archive.keep(dialog, granted, owner=owner, channel="websocket")


async def annotate(service: Service, dialog_id: str, note: str, seq: int = WHOLE) -> None:
    """Write an annotation of a stored dialog, as the annotator `ann`."""
    await service.annotations.put(dialog_id, seq, Remark(("seen",), note), ReadScope(by=Actor("ann")), Condition())


async def noted(service: Service) -> dict[str, str | None]:
    """Return the notes of all annotations by their dialogs' ids."""
    page = await service.pages.annotations(Filter(), ReadScope(by=Actor("ann")), order="newest", limit=100)
    return {it.dialog_id: it.note for it in page.items}


@contextmanager
def export_ended(service: Service) -> Generator[asyncio.Event]:
    """Yield an event that is set once an export has ended, in one way or another, and that is on record."""
    ended, exports = asyncio.Event(), service.store.exports
    put_on_record = exports.add

    async def add(export: Export, note: Note) -> None:
        await put_on_record(export, note)
        ended.set()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exports, "add", add)
        yield ended


async def eventually(true: Callable[[], bool]) -> None:
    """Let the server's tasks run until it is so; fail if that takes a minute."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for belongs to the server, and sets no event
            await asyncio.sleep(0)
