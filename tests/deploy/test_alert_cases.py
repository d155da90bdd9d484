"""Each alert fires when it should and resolves, and none fires at what is no fault: as promtool computes the rules."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from .alert_cases import CASES, DAY, Case
from .alerting import Alert, Firing, Values, alerts, grow, hold, selectors

ALERTS = alerts()


def fired(alert: Alert, case: Case) -> Mapping[str, str]:
    return {**case.labels, **alert.labels}


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_and_resolves(name: str, tmp_path: Path) -> None:
    case = CASES[name]

    Firing(tmp_path, case.series).expect(
        name, {case.quiet: [], case.fires: [fired(ALERTS[name], case)], case.resolved: []}
    )


@pytest.mark.parametrize("name", sorted({*ALERTS} - {"ConsentfulAbsent"}))
def test_an_alert_resolves_when_what_fired_it_is_taken_away(name: str, tmp_path: Path) -> None:
    """A server that is replaced by another one, with another address, leaves no alert behind."""
    case = CASES[name]
    gone = case.fires + 1 + ALERTS[name].memory
    series = {each: [*values[: case.fires + 1], *hold(150, None)] for each, values in case.series.items()}

    Firing(tmp_path, series).expect(name, {case.fires: [fired(ALERTS[name], case)], gone: []})


# What is no fault. Times are minutes.

COUNTERS = (
    'consentful_decisions_total{outcome="internal"}',
    'consentful_decisions_total{outcome="storage"}',
    'consentful_decisions_total{outcome="unknown"}',
    "consentful_dialogs_damaged_total",
    'consentful_refusals_total{code="internal"}',
    'consentful_limits_hit_total{limit="memory"}',
    'consentful_auth_refusals_total{reason="provider"}',
    'consentful_connections_refused_total{status="503"}',
    'consentful_chore_failures_total{chore="feed"}',
    'consentful_chore_failures_total{chore="backup"}',
    "consentful_worker_deaths_total",
)
"""None of them moves while all is well."""
BUSY = (
    'consentful_decisions_total{outcome="stored"}',
    'consentful_limits_hit_total{limit="opens_per_second"}',
    'consentful_auth_refusals_total{reason="expired"}',
    'consentful_consent_seconds_bucket{le="0.25"}',
    'consentful_consent_seconds_bucket{le="+Inf"}',
    "consentful_consent_seconds_count",
    "consentful_request_seconds_count",
    'consentful_loop_lag_seconds_bucket{le="0.05"}',
    'consentful_loop_lag_seconds_bucket{le="+Inf"}',
)
"""These move with the traffic."""
GAUGES = {
    "up": 1,
    "consentful_store_up": 1,
    "consentful_ready": 1,
    "consentful_draining": 0,
    "consentful_dialogs_bytes": 0,
    "consentful_dialogs_limit_bytes": 1000,
    "consentful_connections": 0,
    "consentful_connections_limit": 1000,
    "consentful_commit_queue": 0,
    "consentful_certificate_expiry_timestamp_seconds": 90 * DAY,
    "consentful_disk_reserve": 1,
    "consentful_replica_avoided": 0,
    "consentful_provider_keys_age_seconds": 0,
    'consentful_disk_free_bytes{folder="data"}': 500,
    'consentful_disk_size_bytes{folder="data"}': 1000,
    "consentful_privacy_request_due_seconds": float("inf"),
    "consentful_erasures_incomplete_age_seconds": 0,
    "consentful_epoch_age_seconds": 0,
    "consentful_retention_halted": 0,
    "consentful_retention_lag_seconds": 0,
    "consentful_erasure_untold_seconds": 0,
    "consentful_backup_last_success_timestamp_seconds": 0,
}
NOW = ('consentful_chore_last_success_timestamp_seconds{chore="feed"}',)


def named(series: str, instance: str) -> str:
    name, _, labels = series.partition("{")
    return f'{name}{{job="consentful",instance="{instance}",{labels or "}"}'


def process(
    start: int, minutes: int, *, traffic: float = 0, since: float = 0, version: str = "0.1.0"
) -> dict[str, Values]:
    """Return the series of a server that starts after so many minutes and is well; counters begin with `since`."""
    values: dict[str, list[float | None]] = {
        **{each: hold(minutes, value) for each, value in GAUGES.items()},
        **{each: [*grow(minutes, since=since)] for each in COUNTERS},
        **{each: [*grow(minutes, traffic, since)] for each in BUSY},
        **{each: [(start + minute) * 60.0 for minute in range(minutes)] for each in NOW},
        "consentful_start_time_seconds": hold(minutes, start * 60.0),
        f'consentful_build_info{{version="{version}"}}': hold(minutes, 1),
    }
    return {each: [*hold(start, None), *value] for each, value in values.items()}


def then(*lives: Mapping[str, Values]) -> dict[str, Values]:
    """Return the series of an address at which one process follows another. Between them it is down."""
    series: dict[str, list[float | None]] = {}
    for each in {name for life in lives for name in life}:
        joined: list[float | None] = []
        for life in lives:
            values = life.get(each, [])
            joined += [*values[len(joined) :]] if len(values) > len(joined) else []
        series[each] = joined
    series["up"] = [value or 0 for value in series["up"]]
    return dict(series)


def draining(life: dict[str, Values]) -> dict[str, Values]:
    """Return the same with its last two minutes spent on draining."""
    life["consentful_ready"] = [*life["consentful_ready"][:-2], 0, 0]
    life["consentful_draining"] = [*life["consentful_draining"][:-2], 1, 1]
    return life


def at(instance: str, series: Mapping[str, Values]) -> dict[str, Values]:
    return {named(each, instance): values for each, values in series.items()}


HOURS = 180
NOTHING_WRONG: dict[str, dict[str, Values]] = {
    "no traffic at all": at("one", process(0, HOURS)),
    "a server restarts, with its counters": at(
        "one", then(draining(process(0, 60, traffic=3)), process(61, HOURS - 61, traffic=3))
    ),
    "a rolling upgrade at the same addresses": at(
        "one", then(draining(process(0, 60, traffic=3)), process(63, HOURS - 63, traffic=3, version="0.2.0"))
    )
    | at("two", then(draining(process(0, 66, traffic=3)), process(69, HOURS - 69, traffic=3, version="0.2.0"))),
    "a rolling upgrade at other addresses": at("one", draining(process(0, 60, traffic=3)))
    | at("two", process(58, HOURS - 58, traffic=3, version="0.2.0")),
    "a Prometheus that is new to an old server": at("one", process(0, HOURS, since=5000)),
    "a Prometheus that was away": {
        each: [*values[:60], *hold(40, None), *values[100:]]
        for each, values in at("one", process(0, HOURS, traffic=1)).items()
    },
    "a server of an earlier version": at("one", {"up": hold(HOURS, 1)}),
}


@pytest.mark.parametrize("scene", NOTHING_WRONG)
def test_nothing_fires_at_what_is_no_fault(scene: str, tmp_path: Path) -> None:
    absent = ["ConsentfulAbsent"] if scene == "a Prometheus that was away" else []

    Firing(tmp_path, NOTHING_WRONG[scene]).expect_silence(HOURS - 1, but=absent)


def test_one_failure_of_thousands_wakes_nobody_and_the_only_decision_does(tmp_path: Path) -> None:
    def failed(stored: float) -> Firing:
        life = process(0, HOURS)
        life['consentful_decisions_total{outcome="stored"}'] = grow(HOURS, stored)
        life['consentful_decisions_total{outcome="storage"}'] = [*hold(60, 0), *hold(HOURS - 60, 1)]
        return Firing(tmp_path, at("one", life))

    failed(stored=200).expect_silence(HOURS - 1)
    failed(stored=0).expect("ConsentfulDecisionsFailing", {65: [{"job": "consentful", "severity": "critical"}], 90: []})


def test_the_scenes_have_every_series_that_a_rule_looks_at() -> None:
    named_metrics = {each.partition("{")[0] for each in process(0, 1)}

    for alert in ALERTS.values():
        for selector in selectors(alert.expr):
            assert selector.partition("{")[0] in named_metrics, selector


def test_expired_tokens_are_no_fault_of_a_service_of_any_size(tmp_path: Path) -> None:
    life = process(0, HOURS)
    life['consentful_auth_refusals_total{reason="expired"}'] = grow(HOURS, 50)

    Firing(tmp_path, at("one", life | {"consentful_request_seconds_count": grow(HOURS, 5000)})).expect_silence(
        HOURS - 1
    )
    Firing(tmp_path, at("one", life | {"consentful_request_seconds_count": grow(HOURS, 60)})).expect(
        "ConsentfulAuthRefused", {60: [{"job": "consentful", "reason": "expired", "severity": "warning"}]}
    )
