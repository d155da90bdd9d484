"""One page of metrics of several workers."""

import math
import subprocess

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from consentful_server.telemetry.metrics import Metrics
from consentful_server.workers.reports import Report, counted, merged, page_of, report_of
from needs import need

amounts = st.integers(0, 1000)


def worker(*, live: int = 0, opened: int = 0, due: float = math.inf, reserve: int = 1, took: float = 0.01) -> Report:
    metrics = Metrics()
    metrics.live.set(live)
    metrics.due.set(due)
    metrics.reserve.set(reserve)
    metrics.opened.inc(opened)
    metrics.ended.labels("stored").inc(opened)
    metrics.consent.observe(took)
    return report_of(metrics)


def values(report: Report) -> dict[str, float]:
    """Return the page's samples, as Prometheus reads them; labels are in the names."""
    return {
        sample.name + "".join(f" {label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page_of(report).decode())
        for sample in family.samples
    }


def test_counters_and_histograms_are_added_and_gauges_are_merged_by_their_meaning() -> None:
    page = values(merged([worker(live=2, opened=3, due=60, took=0.004), worker(live=5, opened=4, reserve=0, took=2)]))

    assert page["consentful_workers"] == 2
    assert page["consentful_dialogs_live"] == 7
    assert page["consentful_dialogs_opened_total"] == 7
    assert page["consentful_dialogs_ended_total stored"] == 7
    assert page["consentful_privacy_request_due_seconds"] == 60
    assert page["consentful_disk_reserve"] == 0
    assert page["consentful_consent_seconds_count"] == 2
    assert (page["consentful_consent_seconds_bucket 0.005"], page["consentful_consent_seconds_bucket 2.5"]) == (1, 2)


def test_what_ended_still_counts_and_holds_nothing() -> None:
    page = values(merged([worker(live=2, opened=3), counted(worker(live=5, opened=4, reserve=0))]))

    assert (page["consentful_workers"], page["consentful_dialogs_live"]) == (1, 2)
    assert page["consentful_dialogs_opened_total"] == 7
    assert page["consentful_disk_reserve"] == 1


def test_labels_that_one_worker_alone_has_are_there() -> None:
    one, other = Metrics(), Metrics()
    one.refused.labels("conflict").inc()
    other.refused.labels("notice").inc(2)

    page = values(merged([report_of(one), report_of(other)]))

    assert (page["consentful_refusals_total conflict"], page["consentful_refusals_total notice"]) == (1, 2)


@given(st.lists(st.tuples(amounts, st.booleans()), min_size=1))
def test_no_counter_goes_down_when_a_worker_ends(workers: list[tuple[int, bool]]) -> None:
    before = [worker(opened=opened) for opened, _ in workers]
    after = [counted(report) if has_ended else report for report, (_, has_ended) in zip(before, workers, strict=True)]

    for name, value in values(counted(merged(before))).items():
        assert values(merged(after))[name] == value


def test_every_gauge_says_how_it_is_merged() -> None:
    metrics = Metrics()

    assert set(metrics.across) == {metric.name for metric in metrics.registry.collect() if metric.type == "gauge"}


def test_promtool_has_nothing_to_say() -> None:
    page = page_of(merged([worker(live=2, opened=3), worker(opened=4), counted(worker(opened=1))]))

    done = subprocess.run([need("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
