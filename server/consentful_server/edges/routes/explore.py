"""`/explore`: the data scientist's page over the stored data, and its plotting library."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from aiohttp import web

from ...errors import NotFound
from ..http import tags
from ..http.pipeline import SERVICE
from ..http.route import Answer, Route
from .pages import file_of

_LIBRARY: Final = "plotly.min.js"
"""The file of Plotly that the page needs. It comes from the installed package, not from another server."""


async def explore(request: web.Request) -> web.StreamResponse:
    """Return the page that filters, shows, plots and exports the stored data. The page itself contains no data."""
    return file_of(request.app[SERVICE].settings.static, "explore.html")


async def plotting(request: web.Request) -> web.StreamResponse:
    """Return the plotting library, from the installed package."""
    folder = _plotly()
    if folder is None or request.match_info["name"] != _LIBRARY:
        raise NotFound
    return file_of(folder, _LIBRARY)


def _plotly() -> Path | None:
    """Return the library's folder, without importing the package: it is large."""
    found = find_spec("plotly")
    return Path(found.origin).parent / "package_data" if found is not None and found.origin is not None else None


ROUTES: Final = (
    Route(
        "GET",
        "/explore",
        explore,
        answers=(Answer({"text/html": str}),),
        tag=tags.EXPLORER,
        operation="explorer_explore",
    ),
    Route(
        "GET",
        "/explore/{name}",
        plotting,
        answers=(Answer({"text/javascript": bytes}),),
        refusals=(NotFound,),
        tag=tags.EXPLORER,
        operation="explorer_plotting",
    ),
)
