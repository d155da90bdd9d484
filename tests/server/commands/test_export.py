"""`consentful export`: every format, whole or not at all, going on where it was cut short; and partitioned folders."""

# What reads tables tells few types.
# pyright: reportUnknownMemberType=false

import asyncio
import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

import duckdb
import polars as pl
import pytest
from aiohttp import ClientSession

from consentful_server import cli
from consentful_server.testing import FakeClock, Served
from kept import get, keep

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(cli.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def refuses(capsys: Output, *arguments: str) -> str:
    """Return what is said when the arguments are refused: on stderr, without a traceback."""
    try:
        status = cli.run(list(arguments))
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr()
    assert status not in (0, None)
    assert "Traceback" not in said.err
    return said.err + said.out


class TestExport:
    async def export(self, service: Served, *arguments: str) -> int:
        return await asyncio.to_thread(cli.run, ["export", *arguments, "--url", service.url])

    async def test_every_message_is_written(self, service: Served, somewhere: Path, http: ClientSession) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", ["one", "zwei"], language="en")

        assert await self.export(service, "out.ndjson") == 0

        lines = [json.loads(line) for line in (somewhere / "out.ndjson").read_text().splitlines()]
        assert lines == (await get(http, "/v1/messages", order="stored"))["items"]
        assert not (somewhere / "out.ndjson.part").exists()

    async def test_filters_are_passed_on(self, service: Served, somewhere: Path) -> None:
        await keep(service.service, "d-1", ["one"], language="en")
        await keep(service.service, "d-2", ["zwei"], language="de-CH")

        assert await self.export(service, "out.ndjson", "--language", "DE", "--role", "customer") == 0

        assert "zwei" in (somewhere / "out.ndjson").read_text()
        assert "one" not in (somewhere / "out.ndjson").read_text()

    @pytest.mark.parametrize("form", ["csv", "parquet", "arrow"])
    async def test_the_name_tells_the_format(
        self, service: Served, somewhere: Path, http: ClientSession, form: str
    ) -> None:
        await keep(service.service, "d-1", ["one", "zwei"])

        assert await self.export(service, f"out.{form}") == 0

        async with http.get("/v1/messages", params={"format": form, "order": "stored"}) as response:
            assert (somewhere / f"out.{form}").read_bytes() == await response.read()

    @pytest.mark.parametrize("form", ["ndjson", "csv"])
    @pytest.mark.parametrize("shape", ["messages", "chat"])
    @pytest.mark.parametrize("share", [0.0, 0.004, 0.3, 0.77, 1.0])
    async def test_what_was_cut_short_goes_on_where_it_ended(
        self, service: Served, somewhere: Path, form: str, shape: str, share: float
    ) -> None:
        for number in range(20):
            said = ['She said "no",\r\nand left', f"=1+{number}", "x\ny"]
            await keep(service.service, f"-d-{number}", said)
        assert await self.export(service, f"whole.{form}", "--shape", shape) == 0
        whole = (somewhere / f"whole.{form}").read_bytes()
        (somewhere / f"out.{form}.part").write_bytes(whole[: int(len(whole) * share)])

        assert await self.export(service, f"out.{form}", "--shape", shape) == 0

        assert (somewhere / f"out.{form}").read_bytes() == whole

    async def test_a_dialog_that_was_erased_meanwhile_is_no_hindrance(self, service: Served, somewhere: Path) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}")
        assert await self.export(service, "out.ndjson") == 0
        lines = (somewhere / "out.ndjson").read_bytes().splitlines(keepends=True)
        (somewhere / "out.ndjson.part").write_bytes(lines[0] + lines[1][:10])
        await service.service.archive.erase("d-0", "requested")

        assert await self.export(service, "out.ndjson") == 0

        assert (somewhere / "out.ndjson").read_bytes() == b"".join(lines)

    async def test_what_does_not_arrive_as_it_was_sent_is_no_export(
        self, service: Served, somewhere: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await keep(service.service, "d-1")
        monkeypatch.setattr("consentful_server.commands.client.export.hashlib", SimpleNamespace(sha256=hashlib.sha512))

        assert await self.export(service, "out.parquet") == 2

        assert "not what the server sent" in capsys.readouterr().err
        assert not (somewhere / "out.parquet").exists()

    async def test_a_partitioned_export_is_read_by_duckdb_and_polars(
        self, service: Served, somewhere: Path, clock: FakeClock
    ) -> None:
        days: list[str] = []
        for number in range(4):
            days.append(f"{clock.now():%Y-%m-%d}")
            await keep(service.service, f"d-{number}", ["one", "two"], language=("en", "de")[number % 2])
            clock.advance(86_400)

        assert await self.export(service, "kept", "--partition") == 0

        files = f"read_parquet('{somewhere}/kept/**/*.parquet', hive_partitioning=true)"
        rows = duckdb.connect().execute(f"SELECT DISTINCT dialog_id, day, language FROM {files}")
        expected = {(f"d-{number}", day, ("en", "de")[number % 2]) for number, day in enumerate(days)}
        assert {(dialog_id, str(day), language) for dialog_id, day, language in rows.fetchall()} == expected
        table = pl.scan_parquet(somewhere / "kept", hive_partitioning=True).collect()
        assert table.height == 8
        assert await self.export(service, "kept", "--partition") == 2, "nothing is overwritten"

    async def test_nothing_is_partitioned_into_an_empty_folder(self, service: Served, somewhere: Path) -> None:
        assert await self.export(service, "kept", "--partition") == 0

        assert not list(somewhere.glob("kept/**/*.parquet"))
        assert not list(somewhere.glob("*.part"))

    async def test_what_the_server_refuses_is_told_and_writes_nothing(
        self, service: Served, somewhere: Path, capsys: Output
    ) -> None:
        assert await self.export(service, "out.ndjson", "--since", "yesterday") == 2

        assert "since" in capsys.readouterr().err
        assert not list(somewhere.glob("out*"))

    def test_a_server_that_is_not_there_is_told(self, capsys: Output, somewhere: Path, unused_tcp_port: int) -> None:
        said = refuses(capsys, "export", "out.ndjson", "--url", f"http://127.0.0.1:{unused_tcp_port}")

        assert str(unused_tcp_port) in said
        assert not list(somewhere.glob("out*"))
