"""The API documentation: the OpenAPI and AsyncAPI documents, and the pages that show them."""

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
"""The files of Swagger UI that the page needs. The rest of the package is not served."""


class Documents(msgspec.Struct, frozen=True):
    """Both documents, encoded as JSON."""

    openapi: bytes
    asyncapi: bytes


DOCUMENTS: Final = web.AppKey[Callable[[], Documents]]("documents")
"""Returns both documents; the first call generates them."""


async def openapi(request: web.Request) -> web.StreamResponse:
    """Return the OpenAPI 3.1 document of the REST API."""
    return _document(request.app[DOCUMENTS]().openapi)


async def asyncapi(request: web.Request) -> web.StreamResponse:
    """Return the AsyncAPI 3.0 document of the live dialog."""
    return _document(request.app[DOCUMENTS]().asyncapi)


async def docs(request: web.Request) -> web.StreamResponse:
    """Return the REST API reference, a page that can also send requests."""
    return file_of(request.app[SERVICE].settings.static, "docs.html")


async def live(request: web.Request) -> web.StreamResponse:
    """Return the live dialog reference, a page of its frames, errors and close codes."""
    return file_of(request.app[SERVICE].settings.static, "protocol.html")


async def viewer(request: web.Request) -> web.StreamResponse:
    """Return a file of Swagger UI, from the installed package."""
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
