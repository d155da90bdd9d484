"""The bundled pages, and what operators and load balancers ask."""

from pathlib import Path
from typing import Final, Literal

import msgspec
from aiohttp import hdrs, web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .. import errors
from ..errors import NotFound, Overloaded
from . import tags
from .bodies import JSON
from .requests import SERVICE, Answer, Route, json

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


class Health(msgspec.Struct, frozen=True):
    """How the process is."""

    status: Literal["ok", "ready"]


async def index(request: web.Request) -> web.StreamResponse:
    """Serve the test page."""
    return file_of(request.app[SERVICE].settings.static, "index.html")


async def static(request: web.Request) -> web.StreamResponse:
    """Serve one file of the pages' folder; it has no others below it."""
    return file_of(request.app[SERVICE].settings.static, request.match_info["name"])


async def healthz(_request: web.Request) -> web.StreamResponse:
    """Say that the process answers."""
    return json(Health("ok"))


async def readyz(request: web.Request) -> web.StreamResponse:
    """Say whether new dialogs should come here: not while stopping, nor while the store cannot write."""
    service = request.app[SERVICE]
    if service.is_draining:
        raise Overloaded
    await service.store.probe()
    return json(Health("ready"))


async def metrics(request: web.Request) -> web.StreamResponse:
    """Serve Prometheus."""
    service = request.app[SERVICE]
    service.metrics.live.set(len(service.registry))
    service.metrics.memory.set(service.registry.bytes_used)
    return web.Response(
        body=generate_latest(service.metrics.registry), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST}
    )


def file_of(folder: Path, name: str) -> web.StreamResponse:
    """Return one file of a folder, if it is of a kind that pages are made of.

    Raises:
        NotFound: If it is not, or is in no such folder.
    """
    path = folder / name
    content_type = _TYPES.get(path.suffix)
    if content_type is None or path.parent != folder or not _is_file(path):
        raise NotFound
    return web.FileResponse(path, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-cache"})


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than names can be
        return False


ROUTES: Final = (
    Route("GET", "/", index, answers=(Answer({"text/html": str}),), tag=tags.PAGES, operation="pages_index"),
    Route(
        "GET",
        "/static/{name}",
        static,
        answers=(Answer({kind.partition(";")[0]: bytes for kind in _TYPES.values()}),),
        refusals=(errors.NotFound,),
        tag=tags.PAGES,
        operation="pages_static",
    ),
    Route("GET", "/healthz", healthz, answers=(Answer({JSON: Health}),), tag=tags.PAGES, operation="pages_healthz"),
    Route(
        "GET",
        "/readyz",
        readyz,
        answers=(Answer({JSON: Health}),),
        refusals=(errors.Overloaded, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PAGES,
        operation="pages_readyz",
    ),
    Route(
        "GET", "/metrics", metrics, answers=(Answer({"text/plain": str}),), tag=tags.PAGES, operation="pages_metrics"
    ),
)
