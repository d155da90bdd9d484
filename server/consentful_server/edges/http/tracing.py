"""A span for each request, by method and route, as OpenTelemetry's semantic conventions for HTTP servers name it."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from ...telemetry import traces
from .pipeline import method_of, route_of
from .route import Handler

_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds, by machines that know the answer as a metric."""


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Record the request, a part of the trace that its client names. The path is not told: it contains ids."""
    method, route = method_of(request), route_of(request)
    if route in _PROBES:
        return await handler(request)
    about = {"http.request.method": method, "http.route": route}
    traceparent = request.headers.get(traces.TRACEPARENT)
    with traces.span(f"{method} {route}", about, traceparent=traceparent, kind="server") as span:
        response = await handler(request)
        span.set({"http.response.status_code": response.status})
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.fail(str(response.status))
    return response
