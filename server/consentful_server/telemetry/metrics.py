"""The metrics of one process: counts, durations and route patterns, for Prometheus."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


disable_created_metrics()


Across: TypeAlias = Literal["sum", "max", "min"]
"""How the gauges of several workers become one: all of them together, or the one that an alert must see."""


class Metrics:
    """Prometheus metrics of one process. `across` says of each gauge how it is merged with other workers'."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.across: dict[str, Across] = {}
        gauge = self._gauge
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=_FAST)
        self.workers = gauge("consentful_workers", "Processes that serve.", "sum")
        self.workers.set(1)
        self.deaths = counter("consentful_worker_deaths", "Workers that ended unasked; each is replaced.")
        self.live = gauge("consentful_dialogs_live", "Live dialogs, held in memory.", "sum")
        self.memory = gauge("consentful_dialogs_bytes", "Memory accounted to live dialogs, in bytes.", "sum")
        self.opened = counter("consentful_dialogs_opened", "Dialogs opened.")
        self.ended = counter(
            "consentful_dialogs_ended",
            "Dialogs that ended, by outcome: stored, discarded, dropped, or the code of the error that ended them.",
            ["outcome"],
        )
        self.messages = counter("consentful_messages", "Messages in dialogs that ended.")
        self.refused = counter("consentful_refusals", "Refusals, by code.", ["code"])
        self.consent = histogram("consentful_consent_seconds", "Time from a granted consent to `stored`.")
        self.pending = gauge(
            "consentful_privacy_requests_pending", "Privacy requests that are not completed yet.", "max"
        )
        self.due = gauge(
            "consentful_privacy_request_due_seconds",
            "Seconds until the first pending privacy request is due; +Inf if none is pending.",
            "min",
        )
        self.due.set(math.inf)
        self.epoch = gauge("consentful_epoch_age_seconds", "Age of the master key's epoch.", "max")
        self.rewrapping = gauge(
            "consentful_epoch_keys_left", "Dialog keys that are still wrapped under an earlier master key.", "max"
        )
        self.incomplete = gauge(
            "consentful_erasures_incomplete",
            "Erasures whose dialog key an earlier copy may still hold, under a master key that still exists.",
            "max",
        )
        self.halted = gauge(
            "consentful_retention_halted",
            "1 if the retention purge is halted because the clock is not trusted.",
            "max",
        )
        self.chore_failures = counter(
            "consentful_chore_failures", "Background work that failed, by chore; each is tried again.", ["chore"]
        )
        self.chore_success = gauge(
            "consentful_chore_last_success_timestamp_seconds",
            "When each chore succeeded the last time, in seconds since the epoch.",
            "min",
            ["chore"],
        )
        self.untold = gauge(
            "consentful_erasure_untold_seconds",
            "Age of the oldest erasure that a recipient of the dialog has not read in the feed; 0 if there is none.",
            "max",
        )
        self.reserve = gauge(
            "consentful_disk_reserve",
            "1 while the disk has room and the space for erasures is reserved; 0 if it is full.",
            "min",
        )
        self.logged = gauge("consentful_access_log_entries", "Entries in the access log.", "max")
        self.requests = histogram(
            "consentful_request_seconds",
            "Duration of HTTP requests, by method, route and status.",
            ["method", "route", "status"],
        )

    def _gauge(self, name: str, documentation: str, across: Across, labels: Sequence[str] = ()) -> Gauge:
        self.across[name] = across
        return Gauge(name, documentation, labels, registry=self.registry)
