"""What developers read: the service's own description, for machines and for people."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from swagger_ui_bundle import swagger_ui_path

from ...errors import NotFound
from ..http import tags
from ..http.bodies import JSON
from ..http.pipeline import SERVICE
from ..http.route import Answer, Route
from .pages import file_of

_VIEWER: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
"""What of Swagger UI is needed; the rest of its folder is not served."""


class Documents(msgspec.Struct, frozen=True):
    """Both documents, as JSON."""

    openapi: bytes
    asyncapi: bytes


DOCUMENTS: Final = web.AppKey[Callable[[], Documents]]("documents")
"""Returns them; the first call makes them."""


async def openapi(request: web.Request) -> web.StreamResponse:
    """Describe the REST side as OpenAPI 3.1."""
    return _document(request.app[DOCUMENTS]().openapi)


async def asyncapi(request: web.Request) -> web.StreamResponse:
    """Describe the live dialog as AsyncAPI 3.0."""
    return _document(request.app[DOCUMENTS]().asyncapi)


async def docs(request: web.Request) -> web.StreamResponse:
    """Serve the page that shows the REST side, and tries it out."""
    return file_of(request.app[SERVICE].settings.static, "docs.html")


async def live(request: web.Request) -> web.StreamResponse:
    """Serve the page that shows the live dialog's frames, errors and close codes."""
    return file_of(request.app[SERVICE].settings.static, "protocol.html")


async def viewer(request: web.Request) -> web.StreamResponse:
    """Serve a file of the viewer, out of its own package."""
    name = request.match_info["name"]
    if name not in _VIEWER:
        raise NotFound
    return file_of(swagger_ui_path, name)


def _document(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=JSON, charset="utf-8", headers={hdrs.CACHE_CONTROL: "no-cache"})


_ANY_JSON: Final = (Answer({JSON: dict[str, Any]}),)
_PAGE: Final = (Answer({"text/html": str}),)

ROUTES: Final = (
    Route("GET", "/openapi.json", openapi, answers=_ANY_JSON, tag=tags.DOCUMENTS, operation="documents_openapi"),
    Route("GET", "/asyncapi.json", asyncapi, answers=_ANY_JSON, tag=tags.DOCUMENTS, operation="documents_asyncapi"),
    Route("GET", "/docs", docs, answers=_PAGE, tag=tags.DOCUMENTS, operation="documents_docs"),
    Route("GET", "/docs/live", live, answers=_PAGE, tag=tags.DOCUMENTS, operation="documents_live"),
    Route(
        "GET",
        "/docs/{name}",
        viewer,
        answers=(Answer({"text/css": bytes, "text/javascript": bytes}),),
        refusals=(NotFound,),
        tag=tags.DOCUMENTS,
        operation="documents_viewer",
    ),
)
