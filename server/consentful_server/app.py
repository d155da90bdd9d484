"""The application: routes and what runs beside them, over one service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from .dialogs.waiting_room import WaitingRoom
from .documents import asyncapi, openapi
from .edges.http.pipeline import SERVICE, add_routes, answer, protect
from .edges.http.route import Route
from .edges.routes import (
    access_log,
    dialogs,
    docs,
    erasures,
    explore,
    exports,
    health,
    jwks,
    messages,
    metrics,
    original,
    pages,
    privacy_requests,
    stats,
    withdraw,
    withdrawals,
)
from .edges.websocket import upgrade
from .errors import OutcomeUnknown, StorageFailed
from .privacy.retention import Retention
from .service import Service

ROUTES: Final[tuple[Route, ...]] = (
    *upgrade.ROUTES,
    *messages.ROUTES,
    *dialogs.ROUTES,
    *stats.ROUTES,
    *exports.ROUTES,
    *erasures.ROUTES,
    *withdrawals.ROUTES,
    *jwks.ROUTES,
    *privacy_requests.ROUTES,
    *access_log.ROUTES,
    *original.ROUTES,
    *pages.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *explore.ROUTES,
    *withdraw.ROUTES,
    *docs.ROUTES,
)
"""Every route with its scopes, declared in one place each."""

_BODY_BYTES: Final = 512 * 1024
_TICK_S: Final = 1.0
_ANCHOR_S: Final = 3600.0
_REFRESH_S: Final = 30.0
"""How long it takes until a notice that was added or retired on the command line counts."""


def build_app(service: Service) -> web.Application:
    """Return the application. Whoever runs it closes the service afterwards."""
    app = web.Application(middlewares=[answer], client_max_size=max(_BODY_BYTES, service.limits.max_frame_bytes))
    app[SERVICE] = service
    app[original.ROOM] = WaitingRoom(service)
    app[docs.DOCUMENTS] = _documents
    app.on_response_prepare.append(protect)
    add_routes(app, ROUTES)
    app.cleanup_ctx.append(_clockwork)
    return app


@cache
def _documents() -> docs.Documents:
    return docs.Documents(msgspec.json.encode(openapi.describe(ROUTES)), msgspec.json.encode(asyncapi.describe()))


async def drain(service: Service) -> None:
    """Stop taking dialogs in, let the live ones end within the grace time, and finish every commit under way."""
    service.is_draining = True
    await service.registry.drain(service.settings.grace)
    await service.tasks.finish()


async def _clockwork(app: web.Application) -> AsyncIterator[None]:
    """Let clocks of the process's own expire what has had its time, and keep house."""
    tasks = [asyncio.create_task(work(app[SERVICE]), name="consentful-clockwork") for work in (_tick, _keep_house)]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _tick(service: Service) -> None:
    """Expire dialogs: a timer for each read would cost a third of all throughput."""
    while True:
        await asyncio.sleep(_TICK_S)
        service.registry.tick(service.clock.monotonic())


class _Chore(NamedTuple):
    every_s: float
    work: Callable[[Service], Awaitable[None]]


async def _keep_house(service: Service) -> None:
    """Purge, and do each chore when it is its time; what fails is tried again the next time."""
    retention = Retention(service.archive, service.clock)
    due = dict.fromkeys(_CHORES, service.clock.monotonic())
    rotating = service.clock.monotonic()
    while True:
        await asyncio.sleep(_TICK_S)
        with suppress(StorageFailed, OutcomeUnknown):  # /readyz tells the operator
            await retention.tick()
        service.metrics.halted.set(retention.is_halted)
        now = service.clock.monotonic()
        if now >= rotating:
            with suppress(StorageFailed, OutcomeUnknown):
                is_under_way = await service.rotation.tick()
                rotating = now + (0 if is_under_way else _REFRESH_S)
        for chore in [chore for chore in _CHORES if now >= due[chore]]:
            due[chore] = now + chore.every_s
            with suppress(StorageFailed, OutcomeUnknown):
                await chore.work(service)


_CHORES: Final = (_Chore(_REFRESH_S, Service.refresh), _Chore(_ANCHOR_S, Service.anchor))
