"""The API documentation: the OpenAPI and AsyncAPI documents, and the pages that show them."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from ..http import tags
from ..http.assets import Asset, send
from ..http.bodies import JSON
from ..http.route import Answer, Route
from .pages import page


class Documents(msgspec.Struct, frozen=True):
    """Both documents, encoded as JSON."""

    openapi: Asset
    asyncapi: Asset


DOCUMENTS: Final = web.AppKey[Callable[[], Documents]]("documents")
"""Returns both documents; the first call generates them."""


async def openapi(request: web.Request) -> web.StreamResponse:
    """Return the OpenAPI 3.1 document of the REST API."""
    return send(request, request.app[DOCUMENTS]().openapi)


async def asyncapi(request: web.Request) -> web.StreamResponse:
    """Return the AsyncAPI 3.0 document of the live dialog."""
    return send(request, request.app[DOCUMENTS]().asyncapi)


async def docs(request: web.Request) -> web.StreamResponse:
    """Return the REST API reference, a page that can also send requests."""
    return page(request, "docs.html")


async def live(request: web.Request) -> web.StreamResponse:
    """Return the live dialog reference, a page of its frames, errors and close codes."""
    return page(request, "protocol.html")


_ANY_JSON: Final = (Answer({JSON: dict[str, Any]}),)
_PAGE: Final = (Answer({"text/html": str}),)

ROUTES: Final = (
    Route("GET", "/openapi.json", openapi, answers=_ANY_JSON, tag=tags.DOCUMENTS, operation="documents_openapi"),
    Route("GET", "/asyncapi.json", asyncapi, answers=_ANY_JSON, tag=tags.DOCUMENTS, operation="documents_asyncapi"),
    Route("GET", "/docs", docs, answers=_PAGE, tag=tags.DOCUMENTS, operation="documents_docs"),
    Route("GET", "/docs/live", live, answers=_PAGE, tag=tags.DOCUMENTS, operation="documents_live"),
)
