"""The aiohttp application: the routes, the middleware and the background work of one service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache, partial
from typing import Final

import msgspec
from aiohttp import web

from .dialogs.waiting_room import WaitingRoom
from .documents import asyncapi, openapi
from .documents.schemas import Auth
from .edges.http import error_pages
from .edges.http.assets import ASSETS, Asset, Assets
from .edges.http.bodies import JSON
from .edges.http.pipeline import SERVICE, add_routes, answer, protect
from .edges.http.route import Route
from .edges.http.tracing import traced
from .edges.routes import (
    access_log,
    annotations,
    customers,
    dialogs,
    docs,
    erasures,
    explore,
    exports,
    health,
    jwks,
    messages,
    metrics,
    notices,
    operations,
    original,
    pages,
    privacy,
    privacy_requests,
    receipts,
    recipients,
    register,
    retention,
    stats,
    withdraw,
    withdrawals,
)
from .edges.routes.original import room
from .edges.server.runner import Runner
from .edges.websocket import upgrade
from .edges.websocket.shortcut import Shortcut
from .edges.websocket.sockets import SOCKETS, Sockets
from .operations.housekeeping import Housekeeping
from .operations.overviews import Overviews
from .service import Service
from .telemetry import traces

ROUTES: Final[tuple[Route, ...]] = (
    *upgrade.ROUTES,
    *messages.ROUTES,
    *dialogs.ROUTES,
    *annotations.ROUTES,
    *stats.ROUTES,
    *exports.ROUTES,
    *erasures.ROUTES,
    *withdrawals.ROUTES,
    *jwks.ROUTES,
    *privacy_requests.ROUTES,
    *register.ROUTES,
    *customers.ROUTES,
    *receipts.ROUTES,
    *recipients.ROUTES,
    *retention.ROUTES,
    *access_log.ROUTES,
    *original.ROUTES,
    *notices.ROUTES,
    *pages.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *operations.ROUTES,
    *explore.ROUTES,
    *privacy.ROUTES,
    *withdraw.ROUTES,
    *docs.ROUTES,
)
"""Every route. Each module of `edges/routes` declares its routes, with their scopes."""

_BODY_BYTES: Final = 512 * 1024


def build_app(service: Service) -> web.Application:
    """Return the application. The caller closes the service after the application has shut down."""
    app = web.Application(
        middlewares=[*([traced] if traces.is_on() else []), error_pages.show, answer],
        client_max_size=max(_BODY_BYTES, service.limits.max_frame_bytes),
    )
    app[SERVICE] = service
    app[SOCKETS] = Sockets()
    app[room.ROOM] = WaitingRoom(service)
    app[ASSETS] = Assets(service.settings.static, asks_for_key=service.settings.access != "none")
    app[docs.DOCUMENTS] = partial(_documents, service.settings.access, service.settings.base_url)
    app[health.HOUSEKEEPING] = housekeeping = Housekeeping(service)
    app[operations.OVERVIEWS] = Overviews(service, housekeeping.readiness)
    app.on_response_prepare.append(protect)
    add_routes(app, ROUTES)
    app.cleanup_ctx.append(_housekeeping)
    return app


@cache
def _documents(auth: Auth, base_url: str) -> docs.Documents:
    rest, live = openapi.describe(ROUTES, auth=auth, base_url=base_url), asyncapi.describe(auth=auth, base_url=base_url)
    return docs.Documents(*(Asset(msgspec.json.encode(each), f"{JSON}; charset=utf-8") for each in (rest, live)))


def build_runner(service: Service, *, shutdown_timeout: float) -> Runner:
    """Return what runs the application of the service, and takes plain upgrades without it."""
    app = build_app(service)
    return Runner(app, Shortcut(service, app[SOCKETS]).take, service.metrics, shutdown_timeout=shutdown_timeout)


async def drain(service: Service) -> None:
    """Refuse new dialogs, let live ones finish within the grace time, and wait for pending commits."""
    service.is_draining = True
    await service.registry.drain(service.settings.grace)
    await service.tasks.finish()


async def _housekeeping(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[health.HOUSEKEEPING].run(), name="consentful-housekeeping")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
