"""The metrics of one process: counts, durations and route patterns, for Prometheus.

Labels take few values, whatever clients send: codes, outcomes, limits and reasons are those of `errors`, routes are
patterns, and a method that no route has is `other`. `tests/server/telemetry/test_labels.py` counts the series.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from ..errors import Damaged, Denial, Limit, Refusal

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_JOBS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 500)


disable_created_metrics()


Across: TypeAlias = Literal["sum", "max", "min"]
"""How the gauges of several workers become one: all of them together, or the one that an alert must see."""


class ByLabel(dict[str, Counter]):
    """The series of a counter with one label: each is looked up once, which takes three times as long as to count."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, value: str) -> Counter:
        series = self[value] = self._counter.labels(value)
        return series


class Metrics:
    """Prometheus metrics of one process. `across` says of each gauge how it is merged with other workers'."""

    def __init__(self) -> None:  # noqa: PLR0915 - a list: one statement for each metric
        self.registry = CollectorRegistry()
        self.across: dict[str, Across] = {}
        gauge = self._gauge
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=_FAST)

        # The process.
        self.build = gauge("consentful_build_info", "1, with the version that runs.", "max", ["version"])
        self.started = gauge("consentful_start_time_seconds", "When the latest worker started (Unix time).", "max")
        self.workers = gauge("consentful_workers", "Processes that serve.", "sum")
        self.workers.set(1)
        self.deaths = counter("consentful_worker_deaths", "Workers that ended unasked; each is replaced.")
        self.ready = gauge(
            "consentful_ready", "1 if new dialogs are accepted: the store writes, no chore keeps failing.", "min"
        )
        self.draining = gauge("consentful_draining", "1 while live dialogs finish before a stop.", "max")
        self.lag = histogram("consentful_loop_lag_seconds", "How late the event loop woke up, sampled each second.")
        self.certificate = gauge(
            "consentful_certificate_expiry_timestamp_seconds",
            "When the TLS certificate expires (Unix time); +Inf without one.",
            "min",
        )
        self.certificate.set(math.inf)

        # Connections and requests.
        self.connections = gauge("consentful_connections", "Open connections of clients.", "sum")
        self.connections_limit = gauge("consentful_connections_limit", "Connections accepted at most.", "sum")
        self.turned_away = counter(
            "consentful_connections_refused",
            "Connections refused before there was a request, by status: malformed, too slow, too large, or no room.",
            ["status"],
        )
        self.requests = histogram(
            "consentful_request_seconds",
            "Duration of HTTP requests, by method, route and status.",
            ["method", "route", "status"],
        )
        self.refused = counter("consentful_refusals", "Refusals, by code.", ["code"])
        self.denied = counter("consentful_auth_refusals", "Refusals of access, by reason.", ["reason"])
        self.limited = counter("consentful_limits_hit", "Refusals because of a limit, by limit.", ["limit"])
        self.streams = gauge("consentful_streams", "Streams (exports) that run.", "sum")

        # Dialogs and decisions.
        self.live = gauge("consentful_dialogs_live", "Live dialogs, held in memory.", "sum")
        self.memory = gauge("consentful_dialogs_bytes", "Memory accounted to live dialogs, in bytes.", "sum")
        self.memory_limit = gauge("consentful_dialogs_limit_bytes", "Memory for live dialogs at most, in bytes.", "sum")
        self.opened = counter("consentful_dialogs_opened", "Dialogs opened.")
        self.ended = counter(
            "consentful_dialogs_ended",
            "Dialogs that ended, by outcome: stored, discarded, dropped, or the code of the error that ended them.",
            ["outcome"],
        )
        self.ended_as = ByLabel(self.ended)
        self.messages = counter("consentful_messages", "Messages in dialogs that ended.")
        self.repeated = counter("consentful_messages_repeated", "Messages sent again that were held already.")
        self.decisions = counter(
            "consentful_decisions",
            "Decisions carried out, by outcome: stored, discarded, or the code of the error that prevented it.",
            ["outcome"],
        )
        self.decided_as = ByLabel(self.decisions)
        self.replays = counter("consentful_replays", "Grants of a dialog that was stored already, answered alike.")
        self.consent = histogram("consentful_consent_seconds", "Time from a granted consent to `stored`.")

        # The store.
        self.store_up = gauge("consentful_store_up", "1 if the store could write when it was tried last.", "min")
        self.commits = histogram("consentful_commit_seconds", "Duration of a group commit, its fsync included.")
        self.commit_jobs = histogram("consentful_commit_jobs", "Jobs in a group commit.", buckets=_JOBS)
        self.queue = gauge("consentful_commit_queue", "Jobs that wait for the next group commit.", "sum")
        self.damaged = counter(
            "consentful_dialogs_damaged",
            "Stored dialogs that failed their integrity check when they were read, each time that one was.",
        )
        self.replica_avoided = gauge(
            "consentful_replica_avoided",
            "1 since a read at the read replica failed, until one succeeds; 0 without a replica.",
            "max",
        )
        self.reserve = gauge(
            "consentful_disk_reserve",
            "1 while the disk has room and the space for erasures is reserved; 0 if it is full.",
            "min",
        )
        self.disk_free = gauge("consentful_disk_free_bytes", "Free space of a folder's disk.", "min", ["folder"])
        self.disk_size = gauge("consentful_disk_size_bytes", "Size of a folder's disk.", "min", ["folder"])

        # The identity provider.
        self.provider_age = gauge(
            "consentful_provider_keys_age_seconds",
            "Age of the identity provider's keys; +Inf before any were fetched, 0 without a provider.",
            "max",
        )

        # Privacy.
        self.pending = gauge(
            "consentful_privacy_requests_pending", "Privacy requests that are not completed yet.", "max"
        )
        self.due = gauge(
            "consentful_privacy_request_due_seconds",
            "Seconds until the first pending privacy request is due; +Inf if none is pending.",
            "min",
        )
        self.due.set(math.inf)
        self.due_within = gauge(
            "consentful_privacy_requests_due",
            "Pending privacy requests, by the time until they are due.",
            "max",
            ["within"],
        )
        self.incomplete = gauge(
            "consentful_erasures_incomplete",
            "Erasures whose dialog key an earlier copy may still hold, under a master key that still exists.",
            "max",
        )
        self.incomplete_age = gauge(
            "consentful_erasures_incomplete_age_seconds", "Age of the oldest of them; 0 if there is none.", "max"
        )
        self.untold = gauge(
            "consentful_erasure_untold_seconds",
            "Age of the oldest erasure that a recipient of the dialog has not read in the feed; 0 if there is none.",
            "max",
        )
        self.retention_lag = gauge(
            "consentful_retention_lag_seconds",
            "How long ago the first dialog expired that is still stored; 0 if none has.",
            "max",
        )
        self.halted = gauge(
            "consentful_retention_halted",
            "1 if the retention purge is halted because the clock is not trusted.",
            "max",
        )
        self.logged = gauge("consentful_access_log_entries", "Entries in the access log.", "max")

        # Keys and background work.
        self.backup = gauge(
            "consentful_backup_last_success_timestamp_seconds",
            "When the newest backup in --backup-folder was made, in seconds since the epoch; 0 if there is none.",
            "max",
        )
        self.epoch = gauge("consentful_epoch_age_seconds", "Age of the master key's epoch.", "max")
        self.rewrapping = gauge(
            "consentful_epoch_keys_left", "Dialog keys that are still wrapped under an earlier master key.", "max"
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
        self._begin_with_zero()

    def _begin_with_zero(self) -> None:
        """Show what alerts watch from the start: nobody would see the increase of a series that begins with 1."""
        for counter, values in (
            (self.limited, get_args(Limit)),
            (self.denied, get_args(Denial)),
            (self.decisions, ("stored", "discarded", "storage", "unknown", "internal")),
            (self.refused, ("damaged", "internal")),
            (self.turned_away, (400, 408, 431, 503)),
        ):
            for value in values:
                counter.labels(value)

    def refuse(self, refusal: Refusal) -> None:
        """Count a refusal, and the limit or the denial of access that it names."""
        self.refused.labels(refusal.code).inc()
        if isinstance(refusal, Damaged):
            self.damaged.inc()
        if refusal.limit is not None:
            self.limited.labels(refusal.limit).inc()
        if refusal.denial is not None:
            self.denied.labels(refusal.denial).inc()

    def fail(self) -> None:
        """Count an internal error, which is no refusal and has the code of none."""
        self.refused.labels("internal").inc()

    def committed(self, jobs: int, seconds: float) -> None:
        """Count a group commit."""
        self.commit_jobs.observe(jobs)
        self.commits.observe(seconds)

    def _gauge(self, name: str, documentation: str, across: Across, labels: Sequence[str] = ()) -> Gauge:
        self.across[name] = across
        return Gauge(name, documentation, labels, registry=self.registry)
