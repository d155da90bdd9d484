"""The bundled web pages: `/` and `/static`."""

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from ... import errors
from ...errors import NotFound
from ..http import tags
from ..http.pipeline import SERVICE
from ..http.route import Answer, Route

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


async def index(request: web.Request) -> web.StreamResponse:
    """Return the test page."""
    return file_of(request.app[SERVICE].settings.static, "index.html")


async def static(request: web.Request) -> web.StreamResponse:
    """Return one file of the static directory."""
    return file_of(request.app[SERVICE].settings.static, request.match_info["name"])


def file_of(folder: Path, name: str) -> web.StreamResponse:
    """Return one file of a folder, if its type is one that the pages use.

    Raises:
        NotFound: If the file does not exist, is not directly in the folder, or has another type.
    """
    path = folder / name
    content_type = _TYPES.get(path.suffix)
    if content_type is None or path.parent != folder or not _is_file(path):
        raise NotFound
    return web.FileResponse(path, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-cache"})


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is longer than the file system allows
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
)
