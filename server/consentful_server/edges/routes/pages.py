"""The bundled web pages: `/` and `/static`."""

from typing import Final

from aiohttp import web

from ... import errors
from ...errors import NotFound
from ..http import tags
from ..http.assets import ASSETS, MEDIA, Asset, send, send_version
from ..http.route import Answer, Route


async def index(request: web.Request) -> web.StreamResponse:
    """Return the test page."""
    return page(request, "index.html")


async def static(request: web.Request) -> web.StreamResponse:
    """Return one file of the static directory."""
    return send(request, _asset(request, request.match_info["name"]))


async def versioned(request: web.Request) -> web.StreamResponse:
    """Return one file of the static directory. Clients may keep it: with another content it has another URL."""
    is_current = request.match_info["version"] == request.app[ASSETS].version
    return send_version(request, _asset(request, request.match_info["name"]), is_current=is_current)


def page(request: web.Request, name: str) -> web.StreamResponse:
    """Return one page of the static directory."""
    return send(request, _asset(request, name))


def _asset(request: web.Request, name: str) -> Asset:
    """Return one file of the static directory.

    Raises:
        NotFound: If the folder has no such file when the server starts, or the file is of another type.
    """
    asset = request.app[ASSETS].find(name)
    if asset is None:
        raise NotFound
    return asset


_FILE: Final = (Answer(dict.fromkeys(MEDIA, bytes)),)

ROUTES: Final = (
    Route("GET", "/", index, answers=(Answer({"text/html": str}),), tag=tags.PAGES, operation="pages_index"),
    Route(
        "GET",
        "/static/{name}",
        static,
        answers=_FILE,
        refusals=(errors.NotFound,),
        tag=tags.PAGES,
        operation="pages_static",
    ),
    Route(
        "GET",
        "/static/{version}/{name}",
        versioned,
        answers=_FILE,
        refusals=(errors.NotFound,),
        tag=tags.PAGES,
        operation="pages_versioned",
    ),
)
