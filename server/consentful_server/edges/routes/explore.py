"""The data scientist's page over what was kept, and the plotting library that it draws with."""

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
"""What of Plotly is needed: it lies in the Python package, so no page asks another server for it."""


async def explore(request: web.Request) -> web.StreamResponse:
    """Serve the page that filters, reads, plots and downloads what was kept. It holds no data itself."""
    return file_of(request.app[SERVICE].settings.static, "explore.html")


async def plotting(request: web.Request) -> web.StreamResponse:
    """Serve the plotting library, out of its own package."""
    folder = _plotly()
    if folder is None or request.match_info["name"] != _LIBRARY:
        raise NotFound
    return file_of(folder, _LIBRARY)


def _plotly() -> Path | None:
    """Return the folder of the library; the package is not imported, it is large."""
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
