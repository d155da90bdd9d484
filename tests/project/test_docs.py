"""The documentation is held to the code: what there is, is documented, and what is documented, there is."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App
from prometheus_client import Counter, Gauge, Histogram

from consentful_server import cli, errors
from consentful_server.app import ROUTES
from consentful_server.consent.notices import read_notice
from consentful_server.edges.http import faults
from consentful_server.edges.http.list_query import DialogSearch, Search
from consentful_server.edges.websocket import admission
from consentful_server.errors import Refusal
from consentful_server.exports.formats import MEDIA
from consentful_server.exports.formats.fields import FIELDS
from consentful_server.settings import Settings
from consentful_server.telemetry.metrics import Metrics

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
BY_THE_COMMAND_LINE = {"backup", "backup_running", "setting", "keys", "database", "unreachable", "export", "receipt"}
"""Refusals of the start and of commands: no server tells them."""
WITHOUT_A_CLASS = {"frame", "method_not_allowed", "too_large", "too_slow", "internal"}
BY_AIOHTTP = {1002, 1009}


ARTICLES = {
    *("4(11)", "5(1)(b)", "5(1)(c)", "5(1)(e)", "6", "6(1)(a)", "7", "7(1)", "7(3)", "7(4)", "8", "9", "12(3)", "13"),
    *("15", "17", "17(3)(e)", "19", "20", "25", "30", "32", "33"),
}
"""What docs/privacy.md speaks of."""


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """Yield the cells of the table whose first column has this heading, without back-ticks."""
    inside = False
    for line in (DOCS / page).read_text("utf-8").splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[0] == heading:
            inside = True
        elif inside and not cells[0].startswith("---"):
            yield cells


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from refusals(child)


def test_every_error_code_is_documented_with_its_close_code_and_status() -> None:
    documented = {row[0]: row for row in rows("errors.md", "code")}
    codes = {kind.code for kind in refusals() if kind.__module__.startswith("consentful_server")}

    assert set(documented) == (codes - BY_THE_COMMAND_LINE) | WITHOUT_A_CLASS
    for code, fault in faults.FAULTS.items():
        assert documented[code][3] == (str(fault.close) if fault.close else ""), code
        assert documented[code][4] == str(int(fault.status)), code
    page = (DOCS / "errors.md").read_text("utf-8")
    assert all(f"`{code}`" in page for code in BY_THE_COMMAND_LINE)


def test_every_refusal_has_a_code_of_its_own_and_is_drawn_in_the_tree() -> None:
    kinds = [kind for kind in refusals() if kind.__module__.startswith(f"{errors.__name__}.")]

    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.__name__ for kind in kinds} | {"Refusal", "Limit", "Denial"} == set(errors.__all__)
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in kinds)


def test_every_close_code_is_documented() -> None:
    constants = {value for name, value in vars(faults).items() if name.startswith("CLOSED_")}
    of_faults = {fault.close for fault in faults.FAULTS.values() if fault.close}

    assert {int(row[0]) for row in rows("errors.md", "close code")} == constants | of_faults | BY_AIOHTTP


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[2]: row for row in rows("configuration.md", "flag")}

    assert list(documented) == [field.name for field in dataclasses.fields(Settings)]
    for field in dataclasses.fields(Settings):
        flag, variable, _, default, _ = documented[field.name]
        assert (flag, variable) == (f"--{field.name.replace('_', '-')}", f"CONSENTFUL_{field.name.upper()}")
        shown = "" if field.default in (None, "", ()) else str(field.default)
        assert default == (shown.lower() if isinstance(field.default, bool) else shown)


def test_every_command_is_documented() -> None:
    def commands(app: App, prefix: str) -> Iterator[str]:
        for name in app:
            if not name.startswith("-"):
                child = app[name]
                below = list(commands(child, f"{prefix} {name}"))
                yield from below or [f"{prefix} {name}"]

    assert {row[0] for row in rows("operations.md", "command")} == set(commands(cli.app, "consentful"))


def test_every_metric_is_documented_with_its_type() -> None:
    kinds = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
    metrics = [metric for metric in vars(Metrics()).values() if type(metric) in kinds]

    documented = {row[0]: row[1] for row in rows("operations.md", "metric")}

    assert documented == {metric._name: kinds[type(metric)] for metric in metrics}  # pyright: ignore[reportPrivateUsage]


def test_every_route_is_documented_with_its_scopes() -> None:
    documented: dict[tuple[str, str], str] = {}
    for row in rows("rest.md", "method and path"):
        for method, path in re.findall(r"(GET|POST|PUT|DELETE) (\S+?)(?:,|$| )", row[0] + " "):
            documented[method, path] = row[1]
        for path in re.findall(r"(?:,|and) GET (\S+?)(?:,|$| )", row[0] + " "):
            documented["GET", path] = row[1]

    declared = {(route.method, route.path): " or ".join(route.scopes) or "none" for route in ROUTES}
    declared["GET", "/v1/dialogs/live"] = admission.SCOPE  # it checks by itself: a browser is told in a frame
    assert documented == declared


def test_every_filter_is_documented() -> None:
    documented = {name for row in rows("rest.md", "parameter") for name in row[0].split(", ")}

    assert documented == {*Search.__struct_fields__, *DialogSearch.__struct_fields__}


def test_every_column_is_documented_with_its_type() -> None:
    types = {"id": "string", "text": "string", "number": "int32", "lines": "list", "labels": "list"}
    for shape, columns in rows("exports.md", "shape"):
        documented = [tuple(column.split(" ")) for column in columns.split(", ")]
        assert documented == [(field.name, types.get(field.type, field.type)) for field in FIELDS[shape]]  # pyright: ignore[reportArgumentType]


def test_every_format_is_documented_with_its_media_type() -> None:
    assert {row[0]: row[1] for row in rows("exports.md", "format")} == dict(MEDIA)


def test_the_documented_notice_file_is_one() -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    (notice,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)

    assert {wording.language for wording in read_notice(notice.encode())} == {"en", "de"}


def test_the_documented_settings_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "consentful.toml").write_text(example.replace('"/data"', '"data"').replace('"/keys"', '"keys"'))
    monkeypatch.chdir(tmp_path)

    assert cli.run(["migrate"]) == 0
    assert cli.run(["processing-record"]) == 0


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md")))])
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if not target.startswith("http")]

    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]

    assert missing == []


def test_every_article_has_a_row_and_every_row_a_test() -> None:
    named = {source: re.findall(r"tests/[\w/]+\.py::\w+", tests) for source, _, tests in rows("privacy.md", "source")}

    articles = {article for source in named for article in re.findall(r"\d+(?:\(\w+\))*", source)}
    assert articles >= ARTICLES
    assert all(named.values()), [source for source, tests in named.items() if not tests]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md")))])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text("utf-8")):
        assert (ROOT / path).is_file(), path
        assert not name or re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.M), name
