"""`/privacy`: the privacy officer's page."""

from typing import Final

from aiohttp import web

from ..http import tags
from ..http.route import Answer, Route
from .pages import page


async def privacy(request: web.Request) -> web.StreamResponse:
    """Return the page for privacy officers. The page itself contains no data; its requests need the scope `privacy`."""
    return page(request, "privacy.html")


ROUTES: Final = (
    Route(
        "GET",
        "/privacy",
        privacy,
        answers=(Answer({"text/html": str}),),
        tag=tags.PAGES,
        operation="pages_privacy",
    ),
)
