"""Log lines: one format for all records, without the words of an exception and without control characters."""

import logging
import sys
from contextvars import ContextVar
from typing import Final, Literal

import structlog

from .traces import CURRENT
from .unblocked import UnblockedHandler

REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)
"""The id of the request that is being served: each log line that it causes has it as `request`."""


def set_up_logging(level: str, form: Literal["console", "json"]) -> None:
    """Send all log records to stderr in one format.

    asyncio and aiohttp never log at `debug`: their debug records quote what clients sent.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        with_request,
        without_words,
        on_one_line,
    ]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = UnblockedHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))


def with_request(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Name the request that is being served, and the span that is being recorded, if there is one.

    The names of its ids are those by which log stores find traces (OpenTelemetry, Trace Context in non-OTLP Log
    Formats).
    """
    request, span = REQUEST.get(), CURRENT.get()
    if request is not None:
        event["request"] = request
    if span.trace_id:
        event["trace_id"], event["span_id"] = span.trace_id, span.span_id
    return event


def without_words(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Reduce an exception to its type and the places it passed: its message and its local variables may hold text."""
    exc_info: object = event.pop("exc_info", None)
    if isinstance(exc_info, tuple) and isinstance(exc_info[1], BaseException):
        event.update(where(exc_info[1]))
    return event


def on_one_line(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters, so that no client can forge a log line or send commands to a terminal (CWE-117)."""
    return {
        name: repr(value)[1:-1] if isinstance(value, str) and not value.isprintable() else value
        for name, value in event.items()
    }


def where(error: BaseException) -> dict[str, object]:
    """Return what may be logged of an exception: its type, and the functions and lines of its traceback."""
    places: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "at": places}
