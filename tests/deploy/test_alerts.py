"""The alert rules, the runbook and the code agree: each alert has its paragraph, and each names what there is."""

import inspect
import re
import subprocess
from pathlib import Path

import pytest
from aiohttp import ClientSession
from cyclopts import App

from consentful_server import cli, testing
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.telemetry.metrics import Metrics
from needs import need
from project.test_docs import rows

from .alerting import ROOT, RULES, alerts

ALERTS = alerts()
DOCS = ROOT / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text("utf-8")
PARAGRAPHS = dict(re.findall(r"^## (Consentful\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.M | re.S))
PARTS = ["Means", "Confirm", "Do", "Resolves"]
SAID = {"job", "instance", "namespace", "chore", "folder", "limit", "reason", "version"}
"""Labels that a person may read: none can hold a customer's words or ids."""
ONLY_SOMETIMES = {"backup", "deadlines", "ledger", "provider"}
"""Chores that not every server has, and the one that is no `Chore`."""
SOURCES = "\n".join(path.read_text("utf-8") for path in (ROOT / "server").rglob("*.py"))


def exported() -> set[str]:
    """Return the names under which Prometheus sees the server's metrics."""
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return {metric.name + suffix for metric in Metrics().registry.collect() for suffix in suffixes[metric.type]}


def commands(app: App, prefix: str = "consentful") -> dict[str, str]:
    """Return every command with its parameters' names, as flags."""
    found: dict[str, str] = {}
    for name in app:
        if not name.startswith("-"):
            child = app[name]
            found |= commands(child, f"{prefix} {name}")
            if child.default_command is not None:
                parameters = inspect.signature(child.default_command).parameters
                found[f"{prefix} {name}"] = " ".join(f"--{each.replace('_', '-')}" for each in parameters)
    return found


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Markdown renderers make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_promtool_takes_the_rules() -> None:
    command = [need("promtool"), "check", "rules", str(RULES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_alert_has_a_paragraph_and_every_paragraph_an_alert() -> None:
    assert sorted(PARAGRAPHS) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]

    assert alert.labels["severity"] in {"critical", "warning"}
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    assert set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values()))) <= SAID


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_looks_at_metrics_that_there_are(name: str) -> None:
    assert ALERTS[name].metrics <= exported()


@pytest.mark.parametrize("name", PARAGRAPHS)
def test_a_paragraph_says_what_it_means_how_to_confirm_it_what_to_do_and_when_it_resolves(name: str) -> None:
    assert re.findall(r"^- \*\*(\w+):\*\*", PARAGRAPHS[name], re.M) == PARTS


def test_the_runbook_names_commands_settings_metrics_and_log_lines_that_there_are() -> None:
    known = commands(cli.app)
    flags = {flag for each in known.values() for flag in each.split()} | {
        row[0] for row in rows("configuration.md", "flag")
    }
    code = re.findall(r"`([^`\n]+)`", RUNBOOK)
    metrics = {name for each in code for name in re.findall(r"\bconsentful_\w+", each)}

    named = [each for each in code if each.startswith("consentful ")]
    assert [each for each in named if not any(each.startswith(command) for command in known)] == []
    assert {flag for each in code for flag in re.findall(r"--[a-z][a-z-]+", each)} <= flags
    assert {name for name in metrics if not {name, f"{name}_bucket"} & exported()} == set()
    assert [line for line in re.findall(r"log has `([^`]+)`", RUNBOOK) if line not in SOURCES] == []


def test_links_of_the_runbook_lead_somewhere() -> None:
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)", RUNBOOK):
        page = DOCS / path if path else DOCS / "runbook.md"
        assert page.exists(), path
        assert not anchor or anchor in anchors(page), anchor


async def test_what_a_counter_of_an_alert_counts_is_there_with_0_from_the_start(tmp_path: Path) -> None:
    """The increase of a series that begins with 1 is nothing, so the first fault after a start would be missed."""
    watched = {
        (name, label, value)
        for alert in ALERTS.values()
        for name, label, values in re.findall(r'\b(consentful_\w+_total)\{(\w+)=~?"([^"]+)"\}', alert.expr)
        for value in values.split("|")
    }
    async with (
        testing.serve(backup_folder=tmp_path) as served,
        ClientSession(served.url) as http,
        http.get("/metrics") as response,
    ):
        page = await response.text()

    assert watched
    assert {each for each in watched if '{}{{{}="{}"}} 0.0'.format(*each) not in page} == set()


async def test_every_chore_is_in_the_table_of_those_that_fail() -> None:
    told = {name for row in re.findall(r"^ +\| (`.*?) \|", RUNBOOK, re.M) for name in re.findall(r"`(\w+)`", row)}

    async with testing.serve() as served:
        chores = {chore.name for chore in Housekeeping(served.service).chores}
    assert told == chores | ONLY_SOMETIMES
