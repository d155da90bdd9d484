"""`/metrics`: the metrics of this process, for Prometheus."""

from typing import Final

from aiohttp import hdrs, web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..http import tags
from ..http.pipeline import SERVICE
from ..http.route import Answer, Route


async def metrics(request: web.Request) -> web.StreamResponse:
    """Return the metrics of this process in the Prometheus text format."""
    service = request.app[SERVICE]
    service.metrics.live.set(len(service.registry))
    service.metrics.memory.set(service.registry.bytes_used)
    return web.Response(
        body=generate_latest(service.metrics.registry), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST}
    )


ROUTES: Final = (
    Route(
        "GET", "/metrics", metrics, answers=(Answer({"text/plain": str}),), tag=tags.PAGES, operation="pages_metrics"
    ),
)
