"""The service at one moment, for operators: made of the metrics of all its workers. Pure, and without words.

Counts are since the start of the service. Times are Unix times in seconds, as in the metrics; what is not known is
null.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from typing import Final, TypeAlias

import msgspec

from ..settings import Settings
from ..workers.reports import Report

_PREFIX: Final = "consentful_"
_HIDDEN: Final = ("keys_command",)
"""Settings that may hold a secret anywhere."""

_Samples: TypeAlias = Mapping[str, Mapping[str, float]]
"""Values by the name of the sample and that of its only label, which is empty if there is none."""


class AtMost(msgspec.Struct, frozen=True):
    """So many were at most `le`; null means any."""

    le: float | None
    count: float


class Distribution(msgspec.Struct, frozen=True):
    """What was observed: how often, its sum, and its quantiles, which are those of the buckets."""

    count: float
    sum: float
    p50: float | None
    p99: float | None
    buckets: list[AtMost]


class DialogFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Live dialogs against their limits, in bytes of memory and in connections."""

    live: float
    bytes: float
    limit_bytes: float
    opened: float
    messages: float
    connections: float
    connections_limit: float
    streams: float


class StoreFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Group commits in seconds and in jobs, and the jobs that wait. `has_reserve`: the disk is not full."""

    commit_seconds: Distribution
    commit_jobs: Distribution
    queue: float
    has_reserve: bool


class Disk(msgspec.Struct, frozen=True):
    """The disk of a folder: `data` or `keys`."""

    folder: str
    free_bytes: float
    size_bytes: float


class PrivacyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What is late, in seconds; `request_due_seconds` is null if no request is pending."""

    requests_pending: float
    request_due_seconds: float | None
    erasures_incomplete: float
    erasures_incomplete_age_seconds: float
    erasure_untold_seconds: float
    retention_lag_seconds: float
    retention_halted: bool


class KeyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The master key's epoch, and the last backup."""

    epoch_age_seconds: float
    epoch_keys_left: float
    backup_at: float | None
    certificate_expires_at: float | None


class ChoreFigures(msgspec.Struct, frozen=True):
    """A background task: when it succeeded last, and how often it failed."""

    name: str
    succeeded_at: float | None
    failures: float


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The service at one moment. `parts` are `ready`, or the code of what speaks against it."""

    at: float
    version: str
    started_at: float
    workers: float
    worker_deaths: float
    draining: bool
    parts: dict[str, str]
    dialogs: DialogFigures
    decisions: dict[str, float]
    endings: dict[str, float]
    refusals: dict[str, float]
    denials: dict[str, float]
    limits_hit: dict[str, float]
    turned_away: dict[str, float]
    consent_seconds: Distribution
    loop_lag_seconds: Distribution
    store: StoreFigures
    disks: list[Disk]
    privacy: PrivacyFigures
    keys: KeyFigures
    chores: list[ChoreFigures]


def overview(report: Report, *, at: float, parts: Mapping[str, str]) -> Overview:
    """Return the overview of a service that counted this."""
    found = _samples(report)
    return Overview(
        at=at,
        version=next(iter(found["build_info"]), ""),
        started_at=_value(found, "start_time_seconds"),
        workers=_value(found, "workers"),
        worker_deaths=_value(found, "worker_deaths_total"),
        draining=bool(_value(found, "draining")),
        parts=dict(parts),
        dialogs=DialogFigures(
            live=_value(found, "dialogs_live"),
            bytes=_value(found, "dialogs_bytes"),
            limit_bytes=_value(found, "dialogs_limit_bytes"),
            opened=_value(found, "dialogs_opened_total"),
            messages=_value(found, "messages_total"),
            connections=_value(found, "connections"),
            connections_limit=_value(found, "connections_limit"),
            streams=_value(found, "streams"),
        ),
        decisions=dict(found["decisions_total"]),
        endings=dict(found["dialogs_ended_total"]),
        refusals=dict(found["refusals_total"]),
        denials=dict(found["auth_refusals_total"]),
        limits_hit=dict(found["limits_hit_total"]),
        turned_away=dict(found["connections_refused_total"]),
        consent_seconds=_distribution(found, "consent_seconds"),
        loop_lag_seconds=_distribution(found, "loop_lag_seconds"),
        store=StoreFigures(
            commit_seconds=_distribution(found, "commit_seconds"),
            commit_jobs=_distribution(found, "commit_jobs"),
            queue=_value(found, "commit_queue"),
            has_reserve=bool(_value(found, "disk_reserve")),
        ),
        disks=[Disk(name, free, found["disk_size_bytes"][name]) for name, free in found["disk_free_bytes"].items()],
        privacy=PrivacyFigures(
            requests_pending=_value(found, "privacy_requests_pending"),
            request_due_seconds=_finite(_value(found, "privacy_request_due_seconds")),
            erasures_incomplete=_value(found, "erasures_incomplete"),
            erasures_incomplete_age_seconds=_value(found, "erasures_incomplete_age_seconds"),
            erasure_untold_seconds=_value(found, "erasure_untold_seconds"),
            retention_lag_seconds=_value(found, "retention_lag_seconds"),
            retention_halted=bool(_value(found, "retention_halted")),
        ),
        keys=KeyFigures(
            epoch_age_seconds=_value(found, "epoch_age_seconds"),
            epoch_keys_left=_value(found, "epoch_keys_left"),
            backup_at=_value(found, "backup_last_success_timestamp_seconds") or None,
            certificate_expires_at=_finite(_value(found, "certificate_expiry_timestamp_seconds")),
        ),
        chores=_chores(found),
    )


def shown_settings(settings: Settings) -> dict[str, str]:
    """Return the effective settings, without what may be a secret: the credentials of a URL, a command's words."""
    return {field.name: _shown(field.name, getattr(settings, field.name)) for field in fields(settings)}


def _shown(name: str, value: object) -> str:
    if value in (None, "", ()):
        return ""
    if name in _HIDDEN:
        return "(set)"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return without_credentials(text)


def without_credentials(url: str) -> str:
    """Return a URL without its user, its password and its parameters; any other text as it is."""
    scheme, separator, rest = url.partition("://")
    if not separator or rest.startswith("/"):
        return url
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def _samples(report: Report) -> _Samples:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for family in report:
        for (name, labels), value in family.samples.items():
            if len(labels) < 2:
                found[name.removeprefix(_PREFIX)][labels[0][1] if labels else ""] = value
    return found


def _value(found: _Samples, name: str) -> float:
    return found[name].get("", 0.0)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _distribution(found: _Samples, name: str) -> Distribution:
    buckets = sorted((float(le), count) for le, count in found[f"{name}_bucket"].items())
    count = _value(found, f"{name}_count")
    return Distribution(
        count,
        _value(found, f"{name}_sum"),
        _quantile(buckets, 0.5 * count),
        _quantile(buckets, 0.99 * count),
        [AtMost(_finite(le), below) for le, below in buckets],
    )


def _quantile(buckets: list[tuple[float, float]], rank: float) -> float | None:
    """Return the value of this rank, interpolated within its bucket as Prometheus does; null if there is none."""
    if not rank:
        return None
    lower = below = 0.0
    for upper, count in buckets:
        if count >= rank:
            is_last = math.isinf(upper)
            return lower if is_last else lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    return None


def _chores(found: _Samples) -> list[ChoreFigures]:
    succeeded, failed = found["chore_last_success_timestamp_seconds"], found["chore_failures_total"]
    return [
        ChoreFigures(name, succeeded.get(name), failed.get(name, 0.0)) for name in sorted(succeeded.keys() | failed)
    ]
