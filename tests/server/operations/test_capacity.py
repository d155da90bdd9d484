"""What a load needs: arithmetic, whose costs are compared with what this service takes."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import consentful
from consentful_server import cli, testing
from consentful_server.operations.capacity import Load, Node, StoreName, needed
from kept import eventually

LOADS = st.builds(
    Load,
    dialogs_per_day=st.floats(1, 1e9),
    minutes=st.floats(0.1, 600),
    messages=st.floats(1, 1000),
    granted=st.floats(0.01, 1),
    peak=st.floats(1, 20),
)
STORES = st.sampled_from(["sqlite", "postgresql"])


@given(LOADS, STORES)
def test_ten_times_the_load_needs_ten_times_as_much(load: Load, store: StoreName) -> None:
    one = needed(load, Node(), store)
    ten = needed(msgspec.structs.replace(load, dialogs_per_day=load.dialogs_per_day * 10), Node(), store)

    assert ten.cores == pytest.approx(10 * one.cores)
    assert ten.disk == pytest.approx(10 * one.disk, rel=1e-6, abs=10)
    assert ten.open_at_once == pytest.approx(10 * one.open_at_once, rel=1e-6, abs=10)
    assert ten.nodes >= one.nodes


@given(LOADS, STORES)
def test_as_many_are_open_as_come_while_one_is(load: Load, store: StoreName) -> None:
    """Little's law."""
    need = needed(load, Node(), store)

    assert need.open_at_once - 1 <= need.opened_per_second * load.minutes * 60 <= need.open_at_once


@pytest.mark.parametrize(
    ("load", "node", "bottleneck"),
    [
        (Load(dialogs_per_day=100_000), Node(), "disk"),
        (Load(dialogs_per_day=100_000, minutes=2_000), Node(), "memory"),
        (Load(dialogs_per_day=100_000, retention_days=1), Node(cores=1), "cores"),
        (Load(dialogs_per_day=100_000, retention_days=1, granted=1, messages=1), Node(cores=64), "writer"),
    ],
)
def test_the_first_bottleneck_is_named(load: Load, node: Node, bottleneck: str) -> None:
    assert needed(load, node, "sqlite").bottleneck == bottleneck


async def test_memory_and_disk_are_those_that_the_service_takes(tmp_path: Path) -> None:
    load = Load(dialogs_per_day=86_400 / 4, minutes=200 / 60, messages=20, characters=60, granted=1, retention_days=1)
    dialogs = needed(load, Node(), "sqlite").open_at_once
    held = 0
    async with testing.serve(folder=tmp_path, opens_per_second=1000, frames_per_second=100_000) as service:
        registry, empty = service.service.registry, _size(tmp_path)
        for _ in range(dialogs):
            async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
                for _ in range(20):
                    await dialog.say("x" * 60)
                await eventually(lambda: registry.bytes_used > 8192 + 19 * 360)
                held = max(held, registry.bytes_used)
                await dialog.grant()

    need = needed(load, Node(), "sqlite")
    assert need.memory == pytest.approx(held * dialogs, rel=0.05)
    assert need.disk * dialogs / (load.dialogs_per_day) == pytest.approx(_size(tmp_path) - empty, rel=0.3)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "data").glob("*.db*"))


class TestCommand:
    def test_it_prints_a_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["capacity", "--dialogs-per-day", "100000"]) == 0

        lines = capsys.readouterr().out.splitlines()
        assert any("open at once" in line and "1,389" in line for line in lines)
        assert any("first bottleneck" in line and "disk" in line for line in lines)

    def test_or_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["capacity", "--dialogs-per-day", "100000", "--json"]) == 0

        needs = msgspec.json.decode(capsys.readouterr().out)
        assert [need["store"] for need in needs] == ["sqlite", "postgresql"]
        assert needs[0]["open_at_once"] == 1389

    @pytest.mark.parametrize(
        "arguments", [["0"], ["-1"], ["inf"], ["nan"], ["many"], ["10", "--granted", "2"], ["10", "--peak", "0.5"]]
    )
    def test_what_is_no_load_is_refused(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.run(["capacity", "--dialogs-per-day", *arguments])

        assert ended.value.code
        assert "Invalid value" in capsys.readouterr().err


def test_the_table_of_the_documents_is_what_the_arithmetic_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "scale.md").read_text()
    table = page.partition("<!-- growth -->")[2].partition("<!-- end of growth -->")[0]

    rows = [line for line in table.splitlines() if line and line[2].isdigit()]

    assert rows == [_line(10_000 * times) for times in (1, 10, 100, 1000)]


def _line(dialogs_per_day: int) -> str:
    load, gib = Load(dialogs_per_day=dialogs_per_day), 1024**3
    sqlite, postgres = (needed(load, Node(), store) for store in ("sqlite", "postgresql"))
    cells = (
        f"{dialogs_per_day:,}",
        f"{sqlite.open_at_once:,}",
        f"{sqlite.memory / gib:.2f} GiB",
        f"{sqlite.cores:.2f}",
        f"{sqlite.disk / gib:,.1f} GiB",
        f"{postgres.disk / gib:,.1f} GiB",
        f"{sqlite.stored_per_second:.2f}",
        sqlite.bottleneck,
    )
    return f"| {' | '.join(cells)} |"
