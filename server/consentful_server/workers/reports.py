"""What each process counted, and the one page of metrics that is made of it. Pure, but for reading the counters.

    counter, histogram   the sum over all workers, and over those that have ended: no counter ever goes down
    gauge                by its meaning (`Metrics.across`), over the workers that run

A report is a copy: a worker counts in its own memory, at no other cost, and is asked for a report when a page is
wanted.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from ..telemetry.metrics import Across, Metrics

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels."""

_MERGE: Final[Mapping[Across, Callable[[float, float], float]]] = {
    "sum": lambda one, other: one + other,
    "max": max,
    "min": min,
}


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric with its samples. `across` says how it is merged, and is None if it is no gauge."""

    name: str
    documentation: str
    kind: str
    across: Across | None
    samples: dict[_Key, float]


Report: TypeAlias = list[Family]
"""All metrics of a process, at one moment."""


def report_of(metrics: Metrics) -> Report:
    """Return what the process has counted until now."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            metrics.across[metric.name] if metric.type == "gauge" else None,
            {(sample.name, tuple(sample.labels.items())): sample.value for sample in metric.samples},
        )
        for metric in metrics.registry.collect()
    ]


def counted(report: Report) -> Report:
    """Return what stays true of a worker when it has ended: what it counted, not what it held."""
    return [family for family in report if family.across is None]


def merged(reports: Iterable[Report]) -> Report:
    """Return one report of several."""
    families: dict[str, Family] = {}
    for report in reports:
        for family in report:
            known = families.get(family.name)
            families[family.name] = family if known is None else _both(known, family)
    return list(families.values())


def _both(one: Family, other: Family) -> Family:
    merge = _MERGE[one.across or "sum"]
    samples = dict(one.samples)
    for key, value in other.samples.items():
        samples[key] = merge(samples[key], value) if key in samples else value
    return msgspec.structs.replace(one, samples=samples)


def page_of(report: Report) -> bytes:
    """Return a report in the Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(report))
    return generate_latest(registry)


class _Page(Collector):
    """Shows a report to prometheus_client, which knows the format."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        for family in self._report:
            metric = Metric(family.name, family.documentation, family.kind)
            metric.samples = [Sample(name, dict(labels), value) for (name, labels), value in family.samples.items()]
            yield metric
