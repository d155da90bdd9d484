"""The Grafana dashboard: every panel says what it shows and in which unit, and every query has a result."""

import functools
import itertools
import json
import operator
import re
from collections.abc import Generator, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec
import pytest
from aiohttp import ClientSession

from consentful_server import testing
from live import connect

from .alerting import ROOT, alerts
from .dashboard_model import Dashboard
from .scraping import Prometheus, scraping
from .test_alerts import exported

DASHBOARD: Final[dict[str, Any]] = json.loads((ROOT / "deploy" / "grafana" / "consentful.json").read_text("utf-8"))
ROWS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES: Final = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
PLACES: Final = {"$__rate_interval": "10s", "$job": ".*", "$instance": ".*"}
"""What Grafana puts for its variables."""


def queries() -> Iterator[str]:
    """Yield every query: those of panels, of variables and of annotations."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["expr"]


def asked(query: str) -> str:
    for name, value in PLACES.items():
        query = query.replace(name, value)
    return query


def test_every_name_and_value_is_one_of_grafanas() -> None:
    assert msgspec.convert(DASHBOARD, Dashboard).panels


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("panels.1.option", {}),
        ("panels.1.type", "singlestat"),
        ("panels.1.gridPos.w", 25),
        ("panels.1.fieldConfig.defaults.unit", "seconds"),
        ("panels.1.fieldConfig.defaults.thresholds.steps.0.value", 1),
        ("panels.1.targets.0.legend", "x"),
        ("panels.7.options.tooltip.mode", "all"),
        ("templating.list.1.refresh", "onTime"),
        ("time.from", ""),
    ],
)
def test_what_grafana_would_ignore_is_refused(path: str, value: object) -> None:
    altered = json.loads(json.dumps(DASHBOARD))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    functools.reduce(operator.getitem, way, altered)[last] = value

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(altered, Dashboard)


def test_it_has_an_address_that_stays_and_takes_any_prometheus() -> None:
    assert (DASHBOARD["uid"], "id" in DASHBOARD) == ("consentful", False)  # an id belongs to one Grafana
    assert (VARIABLES["datasource"]["type"], VARIABLES["datasource"]["query"]) == ("datasource", "prometheus")
    others = [variable for variable in VARIABLES.values() if variable["type"] == "query"]
    queried = [*PANELS, *others, *DASHBOARD["annotations"]["list"], *(t for panel in PANELS for t in panel["targets"])]
    assert all(each["datasource"] == SOURCE for each in queried)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        assert target["legendFormat"], "a legend of labels is unreadable"
        assert ("$instance" in target["expr"]) == ("ALERTS" not in target["expr"])
        assert "$job" in target["expr"]


def test_panels_have_ids_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)

    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_each_row_is_a_promise_or_a_part_that_can_be_closed() -> None:
    assert all(row["title"] and not row["panels"] for row in ROWS)
    assert DASHBOARD["panels"][0] in ROWS


def test_every_metric_is_one_of_the_server_and_each_of_the_server_is_looked_at() -> None:
    shown = {name for query in queries() for name in re.findall(r"\bconsentful_\w+", query)}
    alarming = {name for alert in alerts().values() for name in alert.metrics}

    assert shown <= exported()
    missed = exported() - shown - alarming
    assert {name for name in missed if not name.endswith(("_sum", "_count", "_bucket"))} == set()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Generator[Prometheus]:
    with scraping(tmp_path_factory.mktemp("prometheus"), {"dashboard": 1}) as running:
        yield running


async def test_every_query_has_a_result(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["dashboard"]
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(testing.serve(port=port, auth="keys"))
        token = await served.create_key()
        http = await stack.enter_async_context(ClientSession(served.url))
        live = await stack.enter_async_context(connect(http, "", token=token))
        await live.open(dialog_id="d-1")
        await live.say("Hi")
        await live.grant()
        async with http.get("/v1/messages", headers={"Authorization": "Bearer nobody"}) as refused:
            assert refused.status == 401

        for query in queries():  # an annotation is where its expression holds, which is not always
            await prometheus.until_result(asked(query).removesuffix(" > 0"))
        for variable in ("job", "instance"):
            selector = re.findall(r"label_values\((.*), (\w+)\)", VARIABLES[variable]["query"]["query"])
            ((series, label),) = selector
            assert label in (await prometheus.until_result(asked(series)))[0]["metric"]
