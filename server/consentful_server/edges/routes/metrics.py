"""`/metrics`: the metrics of all workers, for Prometheus. Any of them answers."""

from typing import Final

from aiohttp import hdrs, web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ... import errors
from ...workers.reports import page_of
from ..http import tags
from ..http.pipeline import SERVICE
from ..http.route import Answer, Route


async def metrics(request: web.Request) -> web.StreamResponse:
    """Return the metrics of the service in the Prometheus text format."""
    body = page_of(await request.app[SERVICE].merged_report())
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})


ROUTES: Final = (
    Route(
        "GET",
        "/metrics",
        metrics,
        answers=(Answer({"text/plain": str}),),
        refusals=(errors.Overloaded,),
        tag=tags.PAGES,
        operation="pages_metrics",
    ),
)
