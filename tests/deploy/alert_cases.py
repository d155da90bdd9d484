"""For each alert: series with which it fires, and then resolves. The times are minutes of the series' first sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from .alerting import Values, grow, hold

DAY: Final = 86400
ONE: Final = '{job="consentful",instance="one"}'
TWO: Final = '{job="consentful",instance="two"}'
JOB: Final = {"job": "consentful"}
FIRST: Final = {**JOB, "instance": "one"}


def one(**labels: str) -> str:
    """Return the labels of the first server, and these."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in {**FIRST, **labels}.items()) + "}"


@dataclass(frozen=True)
class Case:
    """An alert fires at `fires`, with these labels and the rule's own, and neither at `quiet` nor at `resolved`."""

    series: Mapping[str, Values]
    quiet: int
    fires: int
    resolved: int
    labels: Mapping[str, str] = field(default_factory=lambda: FIRST)


def gauge(name: str, well: float, ill: float, wait: int = 0, labels: Mapping[str, str] = FIRST, **more: str) -> Case:
    """Return the case of a gauge that is well for 10 minutes, ill for the wait and 20 more, and then well again."""
    values = hold(10, well) + hold(wait + 20, ill) + hold(20, well)
    return Case({name + one(**more): values}, quiet=9 + wait, fires=10 + wait + 15, resolved=35 + wait, labels=labels)


def counter(name: str, by: float, wait: int = 0, window: int = 5, labels: Mapping[str, str] = JOB, **more: str) -> Case:
    """Return the case of a counter that starts with 0, grows for `wait` and 10 minutes, and then does not."""
    grown = grow(wait + 11, by)
    values = hold(10, 0) + grown + hold(window + 10, grown[-1])
    return Case(
        {name + one(**more): values}, quiet=9, fires=10 + wait + 8, resolved=10 + wait + 11 + window + 1, labels=labels
    )


def with_requests(case: Case) -> Case:
    """Return the same case with 40 requests a minute beside it."""
    minutes = max(map(len, case.series.values()))
    return replace(case, series={**case.series, f"consentful_request_seconds_count{ONE}": grow(minutes, 40)})


def slow(name: str, fast: str, late: str, labels: Mapping[str, str]) -> Case:
    """Return the case of a histogram: 10 observations a minute are fast, for half an hour late, and fast again."""
    good, bad = grow(30, 10), hold(30, 290)
    again = grow(40, 10, since=300)
    total = grow(100, 10)
    return Case(
        {
            f"{name}_bucket{one(le=fast)}": good + bad + again,
            f"{name}_bucket{one(le=late)}": total,
            f"{name}_bucket{one(le='+Inf')}": total,
            f"{name}_count{one()}": total,
        },
        quiet=30,
        fires=55,
        resolved=85,
        labels=labels,
    )


def timestamp(name: str, age: int, wait: int, labels: Mapping[str, str] = FIRST, **more: str) -> Case:
    """Return the case of a time that stays while it gets `age` seconds old, and then is always now."""
    minutes = age // 60 + wait
    values = hold(minutes + 20, 0) + [minute * 60.0 for minute in range(minutes + 20, minutes + 40)]
    return Case(
        {name + one(**more): values}, quiet=age // 60 - 1, fires=minutes + 10, resolved=minutes + 30, labels=labels
    )


CASES: Final[Mapping[str, Case]] = {
    "ConsentfulAbsent": Case({f"up{ONE}": hold(10, 1) + hold(20, None) + hold(10, 1)}, 10, 25, 35, {}),
    "ConsentfulDown": Case(
        {f"up{ONE}": hold(10, 1) + hold(20, 0) + hold(10, 1), f"up{TWO}": hold(15, 1) + hold(20, 0) + hold(5, 1)},
        14,
        25,
        35,
        JOB,
    ),
    "ConsentfulInstanceDown": Case(
        {f"up{ONE}": hold(10, 1) + hold(20, 0) + hold(10, 1), f"up{TWO}": hold(40, 1)}, 19, 25, 35
    ),
    "ConsentfulStoreDown": gauge("consentful_store_up", 1, 0, 2),
    "ConsentfulNotReady": gauge("consentful_ready", 1, 0, 2),
    "ConsentfulDrainingTooLong": gauge("consentful_draining", 0, 1, 15),
    "ConsentfulWorkersRestarting": counter("consentful_worker_deaths_total", 1, window=15, labels=FIRST),
    "ConsentfulRestarting": Case(
        {f"consentful_start_time_seconds{ONE}": hold(10, 1) + grow(10, 60, since=2) + hold(40, 542)}, 12, 20, 52
    ),
    "ConsentfulVersionsDiffer": Case(
        {
            f"consentful_build_info{one(version='0.1.0')}": hold(200, 1) + hold(20, None),
            'consentful_build_info{job="consentful",instance="two",version="0.2.0"}': hold(10, None) + hold(210, 1),
        },
        quiet=120,
        fires=140,
        resolved=210,
        labels=JOB,
    ),
    "ConsentfulLoopLag": slow("consentful_loop_lag_seconds", "0.05", "1.0", FIRST),
    "ConsentfulDecisionsFailing": Case(
        {
            f"consentful_decisions_total{one(outcome='stored')}": grow(80, 1),
            f"consentful_decisions_total{one(outcome='storage')}": hold(10, 0) + grow(20, 1) + hold(50, 19),
        },
        quiet=10,
        fires=25,
        resolved=60,
        labels=JOB,
    ),
    "ConsentfulConsentsSlow": slow("consentful_consent_seconds", "0.25", "5.0", JOB),
    "ConsentfulCommitQueueGrowing": gauge("consentful_commit_queue", 0, 500, 15),
    "ConsentfulDialogsDamaged": counter("consentful_dialogs_damaged_total", 1, window=60),
    "ConsentfulReplicaAvoided": gauge("consentful_replica_avoided", 0, 1, 15),
    "ConsentfulInternalErrors": counter("consentful_refusals_total", 1, window=15, code="internal"),
    "ConsentfulMemoryNearLimit": Case(
        {
            f"consentful_dialogs_bytes{ONE}": hold(10, 0) + hold(20, 900) + hold(10, 700),
            f"consentful_dialogs_limit_bytes{ONE}": hold(40, 1000),
        },
        14,
        20,
        35,
    ),
    "ConsentfulTurningAway": counter("consentful_limits_hit_total", 1, 1, limit="memory"),
    "ConsentfulConnectionsNearLimit": Case(
        {
            f"consentful_connections{ONE}": hold(10, 0) + hold(20, 950) + hold(10, 700),
            f"consentful_connections_limit{ONE}": hold(40, 1000),
        },
        14,
        20,
        35,
    ),
    "ConsentfulConnectionsRefused": counter("consentful_connections_refused_total", 1, 1, status="503"),
    "ConsentfulClientsLimited": counter(
        "consentful_limits_hit_total", 30, 5, 15, {**JOB, "limit": "opens_per_second"}, limit="opens_per_second"
    ),
    "ConsentfulAuthRefused": with_requests(
        counter("consentful_auth_refusals_total", 30, 5, 15, {**JOB, "reason": "expired"}, reason="expired")
    ),
    "ConsentfulTokensUnverifiable": counter("consentful_auth_refusals_total", 1, 1, reason="provider"),
    "ConsentfulProviderUnreachable": gauge("consentful_provider_keys_age_seconds", 300, 3600, 5),
    "ConsentfulCertificateExpired": Case(
        {f"consentful_certificate_expiry_timestamp_seconds{ONE}": hold(30, 600) + hold(20, 90 * DAY)}, 9, 15, 35
    ),
    "ConsentfulCertificateExpires": Case(
        {f"consentful_certificate_expiry_timestamp_seconds{ONE}": hold(30, 14 * DAY + 600) + hold(20, 90 * DAY)},
        14,
        20,
        35,
    ),
    "ConsentfulDiskFull": gauge("consentful_disk_reserve", 1, 0, 1),
    "ConsentfulDiskFillingUp": Case(
        {
            f"consentful_disk_free_bytes{one(folder='data')}": hold(10, 500) + hold(40, 50) + hold(10, 500),
            f"consentful_disk_size_bytes{one(folder='data')}": hold(60, 1000),
        },
        quiet=24,
        fires=40,
        resolved=55,
        labels={**FIRST, "folder": "data"},
    ),
    "ConsentfulPrivacyRequestOverdue": gauge("consentful_privacy_request_due_seconds", float("inf"), -1, labels=JOB),
    "ConsentfulPrivacyRequestDueSoon": gauge("consentful_privacy_request_due_seconds", float("inf"), DAY, 5, JOB),
    "ConsentfulErasuresLate": gauge("consentful_erasures_incomplete_age_seconds", 7 * DAY, 15 * DAY, 60, JOB),
    "ConsentfulRotationLate": gauge("consentful_epoch_age_seconds", 7 * DAY, 15 * DAY, 60, JOB),
    "ConsentfulRetentionHalted": gauge("consentful_retention_halted", 0, 1, 5, JOB),
    "ConsentfulRetentionLate": gauge("consentful_retention_lag_seconds", 3600, 12 * 3600, 15, JOB),
    "ConsentfulErasureUntold": gauge("consentful_erasure_untold_seconds", DAY, 4 * DAY, 60, JOB),
    "ConsentfulChoreFailing": counter(
        "consentful_chore_failures_total", 2, 10, 10, {**FIRST, "chore": "feed"}, chore="feed"
    ),
    "ConsentfulChoreNotRun": timestamp(
        "consentful_chore_last_success_timestamp_seconds", 900, 5, {**FIRST, "chore": "feed"}, chore="feed"
    ),
    "ConsentfulClockWrong": timestamp("consentful_chore_last_success_timestamp_seconds", 120, 5, chore="feed"),
    "ConsentfulBackupOld": Case(
        {f"consentful_backup_last_success_timestamp_seconds{ONE}": hold(2970, 60) + hold(30, 2960 * 60)},
        quiet=2940,
        fires=2960,
        resolved=2980,
        labels=JOB,
    ),
    "ConsentfulBackupFailing": counter("consentful_chore_failures_total", 0.1, 0, 120, chore="backup"),
}
