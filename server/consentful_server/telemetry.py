"""Metrics and logging: counts, durations and route patterns. Never message text, customer ids or tokens."""

import logging
import math
import sys
from typing import Final, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


disable_created_metrics()


class Metrics:
    """Prometheus metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.live = Gauge("consentful_dialogs_live", "Live dialogs, held in memory.", registry=self.registry)
        self.memory = Gauge(
            "consentful_dialogs_bytes", "Memory accounted to live dialogs, in bytes.", registry=self.registry
        )
        self.opened = Counter("consentful_dialogs_opened", "Dialogs opened.", registry=self.registry)
        self.ended = Counter(
            "consentful_dialogs_ended",
            "Dialogs that ended, by outcome: stored, discarded, dropped, or the code of the error that ended them.",
            ["outcome"],
            registry=self.registry,
        )
        self.messages = Counter("consentful_messages", "Messages in dialogs that ended.", registry=self.registry)
        self.refused = Counter("consentful_refusals", "Refusals, by code.", ["code"], registry=self.registry)
        self.consent = Histogram(
            "consentful_consent_seconds",
            "Time from a granted consent to `stored`.",
            registry=self.registry,
            buckets=_FAST,
        )
        self.pending = Gauge(
            "consentful_privacy_requests_pending",
            "Privacy requests that are not completed yet.",
            registry=self.registry,
        )
        self.due = Gauge(
            "consentful_privacy_request_due_seconds",
            "Seconds until the first pending privacy request is due; +Inf if none is pending.",
            registry=self.registry,
        )
        self.due.set(math.inf)
        self.epoch = Gauge("consentful_epoch_age_seconds", "Age of the master key's epoch.", registry=self.registry)
        self.rewrapping = Gauge(
            "consentful_epoch_keys_left",
            "Dialog keys that are still wrapped under an earlier master key.",
            registry=self.registry,
        )
        self.incomplete = Gauge(
            "consentful_erasures_incomplete",
            "Erasures whose dialog key an earlier copy may still hold, under a master key that still exists.",
            registry=self.registry,
        )
        self.halted = Gauge(
            "consentful_retention_halted",
            "1 if the retention purge is halted because the clock jumped.",
            registry=self.registry,
        )
        self.chore_failures = Counter(
            "consentful_chore_failures",
            "Background work that failed, by chore; each is tried again.",
            ["chore"],
            registry=self.registry,
        )
        self.chore_success = Gauge(
            "consentful_chore_last_success_timestamp_seconds",
            "When each chore succeeded the last time, in seconds since the epoch.",
            ["chore"],
            registry=self.registry,
        )
        self.untold = Gauge(
            "consentful_erasure_untold_seconds",
            "Age of the oldest erasure that a recipient of the dialog has not read in the feed; 0 if there is none.",
            registry=self.registry,
        )
        self.reserve = Gauge(
            "consentful_disk_reserve",
            "1 while the disk space for erasures is reserved; 0 if the disk is full and no dialog is stored.",
            registry=self.registry,
        )
        self.logged = Gauge("consentful_access_log_entries", "Entries in the access log.", registry=self.registry)
        self.requests = Histogram(
            "consentful_request_seconds",
            "Duration of HTTP requests, by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
            buckets=_FAST,
        )


def set_up_logging(level: str, form: Literal["console", "json"]) -> None:
    """Send all log records to stderr in one format.

    asyncio and aiohttp never log at `debug`: their debug records quote what clients sent.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_words,
        on_one_line,
    ]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
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
