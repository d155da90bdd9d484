"""`/explore`: the data scientist's page over the stored data."""

from typing import Final

from aiohttp import web

from ..http import tags
from ..http.route import Answer, Route
from .pages import page


async def explore(request: web.Request) -> web.StreamResponse:
    """Return the page that filters, shows, plots and exports the stored data. The page itself contains no data."""
    return page(request, "explore.html")


ROUTES: Final = (
    Route(
        "GET",
        "/explore",
        explore,
        answers=(Answer({"text/html": str}),),
        tag=tags.EXPLORER,
        operation="explorer_explore",
    ),
)
