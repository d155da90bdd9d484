"""A problem as a page, for a person whose browser came to an address that cannot be shown.

Programs get the problem document (RFC 9457). A browser says that it wants a page: only when it goes to an address, not
when a script fetches, it names `text/html` in `Accept`.
"""

import re
from html import escape
from string import Template
from typing import Final

import msgspec
from aiohttp import hdrs, web

from .assets import ASSETS
from .problems import PROBLEM, Problem
from .route import Handler

_PAGE: Final = "error.html"
_HTML: Final = "text/html"
_CODE: Final = re.compile(r"`([^`]+)`")
_KEPT: Final = (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE)


@web.middleware
async def show(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a problem document into a page, if a browser goes to this address. It is the outermost middleware."""
    response = await handler(request)
    assets = request.app[ASSETS]
    if not isinstance(response, web.Response) or response.content_type != PROBLEM or not _wants_page(request):
        return response
    if not isinstance(response.body, bytes) or assets.find(_PAGE) is None:  # the operator's own pages may have none
        return response
    problem = msgspec.json.decode(response.body, type=Problem)
    headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
    return web.Response(
        status=response.status,
        text=_filled(assets.page(_PAGE), problem, _root(request)),
        content_type=_HTML,
        headers={hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: hdrs.ACCEPT, **headers},
    )


def _wants_page(request: web.Request) -> bool:
    ranges = ",".join(request.headers.getall(hdrs.ACCEPT, ())).split(",")
    return _HTML in (each.partition(";")[0].strip().lower() for each in ranges)


def _root(request: web.Request) -> str:
    """Return the way from the address to this server's root. A proxy may serve it under a path, so it is relative."""
    return "../" * (request.rel_url.raw_path.count("/") - 1) or "./"


def _filled(page: str, problem: Problem, root: str) -> str:
    detail = _CODE.sub(r"<code>\1</code>", escape(problem.detail))
    if problem.parameter is msgspec.UNSET:  # otherwise it begins with the parameter's name
        detail = detail[:1].upper() + detail[1:]
    return Template(page.replace('="static/', f'="{root}static/')).substitute(
        root=root,
        status=problem.status,
        title=escape(problem.title),
        detail=f"{detail}.",
        code=escape(problem.code),
        request=escape(problem.request_id or ""),
    )
