"""A collector of spans for tests: it takes OTLP over HTTP on a real socket, on a thread of its own."""

import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class Told:
    """One span, as the collector got it."""

    def __init__(self, span: Span, resource: Iterable[KeyValue]) -> None:
        self.name = span.name
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        self.has_failed = span.status.code == Status.STATUS_CODE_ERROR
        self.attributes = _values(span.attributes)
        self.resource = _values(resource)


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


class Collector:
    """Keeps what it is sent; `status` is what it answers, and `answers` whether it does."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.answer = b""
        self.answers = threading.Event()
        self.answers.set()
        self.reached = threading.Event()
        self.bodies: list[bytes] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    @property
    def spans(self) -> list[Told]:
        found: list[Told] = []
        for body in self.bodies:
            for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in each.scope_spans:
                    found += [Told(span, each.resource.attributes) for span in scope.spans]
        return found

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting() -> Generator[Collector]:
    """Run a collector until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.reached.set()
            collector.answers.wait()
            collector.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            if collector.status == 200:
                collector.bodies.append(body)
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(collector.answer)))
            self.end_headers()
            self.wfile.write(collector.answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
            """Write nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        collector.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield collector
        finally:
            collector.answers.set()
            server.shutdown()
