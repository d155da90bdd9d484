"""Spans as OpenTelemetry's SDK records them and sends them, by OTLP over HTTP. Imported only if there is a collector.

Its own variables hold for everything but the address: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_MAX_QUEUE_SIZE` and so on.

Threads: spans begin and end on the event loop's thread, which puts them into a bounded queue. A thread of the SDK's
sends them; whatever the collector does, only that thread waits for it, and what does not fit into the queue is lost.
"""

import logging
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from consentful.identifiers import new_id

from .traces import INTERNAL, TRACEPARENT, Attributes, Kind, Recorder, Span

LAST_SPANS: Final = "consentful-last-spans"
"""The thread that delivers what is left; it may go on for a while after `OtlpRecorder.close`."""

_NAME: Final = "consentful"
_PATH: Final = "/v1/traces"
_NANOSECONDS: Final = 1_000_000_000
_CLOSE_S: Final = 3.0
_TELL_EVERY_S: Final = 60.0

_KINDS: Final = {"internal": trace.SpanKind.INTERNAL, "server": trace.SpanKind.SERVER}

_log: Final = logging.getLogger("consentful.traces")


class RecordedSpan(Span):
    """A span of OpenTelemetry's."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> Context:
        """The context in which the parts of this span begin."""
        return trace.set_span_in_context(self._span, Context())

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        return trace.format_span_id(self._span.get_span_context().span_id)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, code: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(trace.StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


class OtlpRecorder(Recorder):
    """Sends spans to `ENDPOINT/v1/traces`.

    Raises:
        ValueError: If the SDK refuses one of its variables.
    """

    def __init__(self, endpoint: str) -> None:
        # Its messages quote what the collector answers; `_Sender` tells in our words.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL + 1)
        ours = Resource({SERVICE_NAME: _NAME, SERVICE_VERSION: version(_NAME), SERVICE_INSTANCE_ID: new_id()})
        resource = Resource.create().merge(ours).merge(OTELResourceDetector().detect())  # the variables win
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint.rstrip("/") + _PATH)
        self._provider.add_span_processor(BatchSpanProcessor(_Sender(exporter)))
        self._tracer = self._provider.get_tracer(_NAME, version(_NAME))
        self._propagator = TraceContextTextMapPropagator()

    def begin(
        self,
        name: str,
        parent: Span,
        attributes: Attributes,
        *,
        traceparent: str | None = None,
        kind: Kind = INTERNAL,
        began_s_ago: float = 0,
    ) -> Span:
        context = parent.context if isinstance(parent, RecordedSpan) else self._named(traceparent)
        began = time.time_ns() - int(began_s_ago * _NANOSECONDS)
        return RecordedSpan(self._tracer.start_span(name, context, _KINDS[kind], dict(attributes), start_time=began))

    def _named(self, traceparent: str | None) -> Context:
        """Return the context that a client names. Its `tracestate` is left out: the client may have put words there."""
        return self._propagator.extract({} if traceparent is None else {TRACEPARENT: traceparent}, Context())

    def close(self) -> None:
        # The SDK waits half a minute for a collector that does not answer, and has no setting for it.
        closing = threading.Thread(target=self._provider.shutdown, name=LAST_SPANS, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        if closing.is_alive():
            _log.warning("the last spans were not delivered", extra={"after_s": _CLOSE_S})


class _Sender(SpanExporter):
    """Tells operators now and then that the collector does not take spans, and how many were lost since."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = 0
        self._told_at = -_TELL_EVERY_S

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            self._tell(time.monotonic())
        return result

    def _tell(self, now: float) -> None:
        if now - self._told_at >= _TELL_EVERY_S:
            remedy = "see whether the collector of --otlp-endpoint runs, and takes OTLP over HTTP"
            _log.warning("spans were not delivered", extra={"spans": self._lost, "remedy": remedy})
            self._lost, self._told_at = 0, now

    def shutdown(self) -> None:
        self._exporter.shutdown()
