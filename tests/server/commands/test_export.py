"""`consentful export`: every format, whole or not at all, going on where it was cut short; and partitioned folders."""

# What reads tables tells few types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import asyncio
import hashlib
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from consentful.clock import SystemClock
from consentful_server import cli, testing
from consentful_server.testing import FakeClock, Served
from kept import get, keep

from .refusals import Output, refused

Bytes = pytest.CaptureFixture[bytes]


class NoWaiting(SystemClock):
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self._waited = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._waited

    async def sleep(self, seconds: float) -> None:
        self._waited += seconds


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentful_server.commands.client.export.SystemClock", NoWaiting)


class TornFront:
    """Passes requests on to the service, and cuts streams off: each after as many bytes as it is told, the last not."""

    def __init__(self, service: Served, *cuts: int | None) -> None:
        self.asked: list[dict[str, str]] = []
        """The parameters of each request for a stream."""
        self._service = service
        self._cuts = list(cuts)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        is_stream = request.path == "/v1/messages"
        if is_stream:
            self.asked.append(dict(request.query))
        async with ClientSession() as http, http.get(self._service.url + request.path_qs) as answer:
            body = await answer.read()
        response = web.StreamResponse(status=answer.status)
        response.content_type = answer.content_type
        response.headers["Export-Id"] = answer.headers.get("Export-Id", "")
        response.enable_chunked_encoding()
        await response.prepare(request)
        cut = self._cuts.pop(0) if is_stream and self._cuts else None
        await response.write(body[:cut])
        if cut is None:
            await response.write_eof()
        elif request.transport is not None:
            request.transport.close()
        return response

    def serve(self) -> TestServer:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._pass)
        return TestServer(app)


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

    @pytest.mark.parametrize(
        ("arguments", "exported"),
        [
            (["--label", "greeting"], ["d-0", "d-2"]),
            (["--label", "greeting", "--review", "accepted"], ["d-2"]),
            (["--annotator", "local"], ["d-0", "d-2"]),
            (["--annotator", "nobody"], []),
            (["--metadata", "channel=web"], ["d-1", "d-2"]),
            (["--metadata", "channel=web", "--metadata", "query=a=b"], ["d-2"]),
            (["--metadata", "query="], ["d-1"]),
            (["--dialog-ids", "ids"], ["d-0", "d-1"]),
            (["--dialog-ids", "-"], ["d-2"]),
            (["--dialog-ids", "ids", "--label", "greeting"], ["d-0"]),
        ],
        ids=" ".join,
    )
    async def test_dialogs_are_chosen_by_what_they_are_annotated_with_and_by_what_the_chatbot_noted(
        self,
        service: Served,
        somewhere: Path,
        http: ClientSession,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        exported: list[str],
    ) -> None:
        await keep(service.service, "d-0", metadata={"channel": "app"})
        await keep(service.service, "d-1", metadata={"channel": "web", "query": ""})
        await keep(service.service, "d-2", metadata={"channel": "web", "query": "a=b"})
        for number, review in ((0, "rejected"), (2, "accepted")):
            await http.put(f"/v1/annotations/d-{number}/1", json={"labels": ["greeting"], "review": review})
        (somewhere / "ids").write_text("\ufeffd-1 \r\n\n  d-0\nd-9\n", encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", io.StringIO("d-2\n"))

        assert await self.export(service, "out.ndjson", *arguments) == 0

        lines = (somewhere / "out.ndjson").read_text().splitlines()
        assert [json.loads(line)["dialog_id"] for line in lines] == exported

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--metadata", "channel"], "metadata: must be KEY=VALUE"),
            (["--metadata", "=web"], "metadata: must be KEY=VALUE"),
            (["--metadata", "a=1", "--metadata", "a=2"], "metadata: a is given twice"),
            (["--dialog-ids", "nowhere"], "dialog_ids: nowhere cannot be read"),
            (["--dialog-ids", "binary"], "dialog_ids: binary cannot be read"),
            (["--dialog-ids", "empty"], "dialog_ids: names no dialog"),
            (["--dialog-ids", "bad"], "dialog_ids"),  # by the server, as are the next two
            (["--dialog-ids", "many"], "dialog_ids"),
            (["--label", "No Label"], "label"),
            (["--review", "seen"], "review"),
            (["--shape", "annotations", "--metadata", "a=1"], "metadata: annotations are not filtered by it"),
            (["--shape", "annotations", "--dialog-ids", "many"], "dialog_ids: annotations are not filtered by it"),
        ],
        ids=" ".join,
    )
    async def test_a_filter_that_means_nothing_is_named_and_writes_nothing(
        self, service: Served, somewhere: Path, capsys: Output, arguments: list[str], told: str
    ) -> None:
        (somewhere / "empty").write_text(" \n\n")
        (somewhere / "binary").write_bytes(b"\xff\xfe\x00d")
        (somewhere / "bad").write_text("no id/of a dialog\n")
        (somewhere / "many").write_text("\n".join(f"d-{number}" for number in range(1001)))

        said = await asyncio.to_thread(refused, capsys, "export", "out.ndjson", *arguments, "--url", service.url)

        assert told in " ".join(said.split())
        assert not list(somewhere.glob("out*"))

    @pytest.mark.parametrize("arguments", [["--label", "greeting"], ["--review", "accepted"], ["--annotator", "local"]])
    async def test_what_is_filtered_by_annotations_begins_anew_because_they_change(
        self, service: Served, somewhere: Path, http: ClientSession, arguments: list[str]
    ) -> None:
        for number in range(2):
            await keep(service.service, f"d-{number}")
            await http.put(f"/v1/annotations/d-{number}/1", json={"labels": ["greeting"], "review": "accepted"})
        assert await self.export(service, "whole.ndjson", *arguments) == 0
        whole = (somewhere / "whole.ndjson").read_bytes()
        (somewhere / "out.ndjson.part").write_bytes(whole.splitlines(keepends=True)[1])

        assert await self.export(service, "out.ndjson", *arguments) == 0

        assert (somewhere / "out.ndjson").read_bytes() == whole

    async def test_what_is_chosen_by_metadata_goes_on_where_it_ended(self, service: Served, somewhere: Path) -> None:
        for number in range(6):
            await keep(service.service, f"d-{number}", metadata={"channel": ("web", "app")[number % 2]})
        assert await self.export(service, "whole.ndjson", "--metadata", "channel=web") == 0
        whole = (somewhere / "whole.ndjson").read_bytes()
        first = whole.splitlines(keepends=True)[0].replace(b'"role"', b'"kept":1,"role"')
        (somewhere / "out.ndjson.part").write_bytes(first)

        assert await self.export(service, "out.ndjson", "--metadata", "channel=web") == 0

        assert (somewhere / "out.ndjson").read_bytes() == first + b"".join(whole.splitlines(keepends=True)[1:])

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

    @pytest.mark.parametrize("share", [0.004, 0.3, 0.77])
    async def test_with_a_byte_order_mark_and_every_line_end_it_goes_on_as_well(
        self, service: Served, somewhere: Path, share: float
    ) -> None:
        for number in range(20):
            await keep(service.service, f"-d-{number}", ["one\u2028two", "x\x85y\x1cz", "a;=b\tc"])
        assert await self.export(service, "whole.csv", "--bom") == 0
        whole = (somewhere / "whole.csv").read_bytes()
        (somewhere / "out.csv.part").write_bytes(whole[: int(len(whole) * share)])

        assert await self.export(service, "out.csv", "--bom") == 0

        assert (somewhere / "out.csv").read_bytes() == whole
        assert whole.startswith(b"\xef\xbb\xbfdialog_id,")
        assert whole.count(b"\xef\xbb\xbf") == 1

    async def test_a_dialog_that_was_erased_meanwhile_is_no_hindrance(self, service: Served, somewhere: Path) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}")
        assert await self.export(service, "out.ndjson") == 0
        lines = (somewhere / "out.ndjson").read_bytes().splitlines(keepends=True)
        (somewhere / "out.ndjson.part").write_bytes(lines[0] + lines[1][:10])
        await service.service.archive.erase("d-0", "requested")

        assert await self.export(service, "out.ndjson") == 0

        assert (somewhere / "out.ndjson").read_bytes() == b"".join(lines)

    @pytest.mark.parametrize("form", ["ndjson", "csv"])
    @pytest.mark.parametrize("cuts", [(0,), (1,), (700,), (2_000, 90, 1_500)])
    async def test_a_stream_that_breaks_off_goes_on_behind_its_last_whole_row(
        self, service: Served, somewhere: Path, capsys: Output, form: str, cuts: tuple[int, ...]
    ) -> None:
        for number in range(20):
            await keep(service.service, f"d-{number:02}", ["one\r\ntwo", 'She said "no"'])
        assert await self.export(service, f"whole.{form}") == 0
        torn = TornFront(service, *cuts)
        async with torn.serve() as front:
            assert await asyncio.to_thread(cli.run, ["export", f"out.{form}", "--url", str(front.make_url(""))]) == 0

        assert (somewhere / f"out.{form}").read_bytes() == (somewhere / f"whole.{form}").read_bytes()
        assert len(torn.asked) == len(cuts) + 1
        assert ("after" in torn.asked[-1]) == (sum(cuts) > 500)
        assert capsys.readouterr().err.count("40 rows") == 2

    @pytest.mark.parametrize("arguments", [["out.parquet"], ["out.ndjson", "--order", "newest"]])
    async def test_a_format_that_cannot_go_on_begins_anew(
        self, service: Served, somewhere: Path, arguments: list[str]
    ) -> None:
        await keep(service.service, "d-1", ["one"] * 50)
        torn = TornFront(service, 500, 1)
        async with torn.serve() as front:
            arguments = ["export", *arguments, "--url", str(front.make_url(""))]
            assert await asyncio.to_thread(cli.run, arguments) == 0

        assert [asked.get("after") for asked in torn.asked] == [None] * 3
        assert await self.export(service, *[argument.replace("out", "whole") for argument in arguments[1:-2]]) == 0
        whole, out = (next(somewhere.glob(f"{name}.*")).read_bytes() for name in ("whole", "out"))
        assert out == whole

    async def test_patience_ends_and_what_arrived_is_kept_for_the_next_time(
        self, service: Served, somewhere: Path, capsys: Output
    ) -> None:
        for number in range(20):
            await keep(service.service, f"d-{number:02}")
        torn = TornFront(service, *[1_000] + [0] * 1_000)
        async with torn.serve() as front:
            url = str(front.make_url(""))
            assert await asyncio.to_thread(cli.run, ["export", "out.ndjson", "--url", url]) == 2
            assert len(torn.asked) > 5

        said = capsys.readouterr().err
        assert url in said
        assert "try again later; run the same command again to resume" in said
        assert not (somewhere / "out.ndjson").exists()
        assert await self.export(service, "out.ndjson") == 0
        assert len((somewhere / "out.ndjson").read_text().splitlines()) == 20

    async def test_the_standard_output_gets_every_row_once(self, service: Served, capfdbinary: Bytes) -> None:
        await keep(service.service, "d-1", ["one", "two"])
        torn = TornFront(service, None, 100)
        async with torn.serve() as front:
            arguments = ["export", "-", "--url", str(front.make_url(""))]
            assert await asyncio.to_thread(cli.run, arguments) == 0
            sys.stdout.flush()
            whole = capfdbinary.readouterr().out
            assert await asyncio.to_thread(cli.run, arguments) == 2
            sys.stdout.flush()

        said = capfdbinary.readouterr()
        assert [json.loads(line)["text"] for line in whole.splitlines()] == ["one", "two"]
        assert said.out == whole[:100]
        assert b"try again later\n" in said.err
        assert len(torn.asked) == 2, "what is written there cannot be taken back"

    @pytest.mark.parametrize("form", ["ndjson", "parquet"])
    async def test_what_does_not_arrive_as_it_was_sent_is_no_export(
        self, service: Served, somewhere: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        await keep(service.service, "d-1")
        monkeypatch.setattr("consentful.http_client.hashlib", SimpleNamespace(sha256=hashlib.sha512))

        assert await self.export(service, f"out.{form}") == 2

        assert "differs from its manifest" in capsys.readouterr().err
        assert not list(somewhere.glob("out*")), "nothing that may be wrong is gone on with"

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

    @pytest.mark.parametrize("name", ["out.xlsx", "out.json", "out.csv.gz", "out.2026-11", "out.txt"])
    def test_an_unknown_extension_is_refused_before_anything_is_asked(
        self, capsys: Output, somewhere: Path, unused_tcp_port: int, name: str
    ) -> None:
        said = refused(capsys, "export", name, "--url", f"http://127.0.0.1:{unused_tcp_port}")

        assert f"output: {Path(name).suffix} is no known extension" in said
        assert ".ndjson, .csv, .parquet, .arrow" in said
        assert "--format" in said
        assert not list(somewhere.iterdir())

    @pytest.mark.parametrize("name", ["out.jsonl", "out.NDJSON", "out", "out.txt --format ndjson"])
    async def test_names_that_mean_ndjson_get_it(self, service: Served, somewhere: Path, name: str) -> None:
        await keep(service.service, "d-1")

        assert await self.export(service, *name.split()) == 0

        (path,) = somewhere.glob("out*")
        assert json.loads(path.read_bytes())["dialog_id"] == "d-1"

    def test_a_folder_that_is_not_there_is_named(self, capsys: Output, unused_tcp_port: int) -> None:
        said = refused(capsys, "export", "nowhere/out.csv", "--url", f"http://127.0.0.1:{unused_tcp_port}")

        assert "nowhere" in said

    async def test_a_partition_without_a_language_is_read_by_every_tool(self, service: Served, somewhere: Path) -> None:
        languages = [None, "en", "pt-BR", "no", None]
        for number, language in enumerate(languages):
            await keep(service.service, f"d-{number}", ["one"], language=language)

        assert await self.export(service, "kept", "--partition") == 0

        assert not list(somewhere.rglob("*__HIVE_DEFAULT_PARTITION__*"))
        expected = sorted(language or "und" for language in languages)
        folder = somewhere / "kept"
        assert sorted(pd.read_parquet(folder)["language"].astype(str)) == expected
        assert sorted(pl.read_parquet(folder, hive_partitioning=True)["language"].to_list()) == expected
        assert sorted(ds.dataset(folder, partitioning="hive").to_table()["language"].to_pylist()) == expected
        files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning=true)"
        assert (
            sorted(row[0] for row in duckdb.connect().execute(f"SELECT language FROM {files}").fetchall()) == expected
        )
        plain = datasets.load_dataset("parquet", data_dir=str(folder), cache_dir=str(somewhere / "cache"))["train"]
        assert len(plain) == len(languages)

    @pytest.mark.parametrize(("roles", "named"), [([], "user"), (["--roles", "customer/bot"], "customer")])
    async def test_the_roles_of_chats_can_be_chosen(
        self, service: Served, somewhere: Path, roles: list[str], named: str
    ) -> None:
        await keep(service.service, "d-1", ["one"])

        assert await self.export(service, "out.ndjson", "--shape", "chat", *roles) == 0

        assert json.loads((somewhere / "out.ndjson").read_bytes())["messages"][0]["role"] == named

    async def test_annotations_are_exported_anew_each_time(
        self, service: Served, somewhere: Path, http: ClientSession
    ) -> None:
        for number, language in enumerate(("en", "de")):
            await keep(service.service, f"d-{number}", language=language)
            await http.put(f"/v1/annotations/d-{number}/1", json={"labels": ["greeting"]})
        (somewhere / "out.ndjson.part").write_text('{"dialog_id": "d-9", "seq": 1}\n')

        assert await self.export(service, "out.ndjson", "--shape", "annotations", "--language", "de") == 0
        assert await self.export(service, "out.csv", "--shape", "annotations", "--bom") == 0

        (line,) = (somewhere / "out.ndjson").read_text().splitlines()
        assert (json.loads(line)["dialog_id"], json.loads(line)["labels"]) == ("d-1", ["greeting"])
        assert len((somewhere / "out.csv").read_bytes().splitlines()) == 3

    async def test_annotations_are_not_partitioned(self, service: Served, somewhere: Path, capsys: Output) -> None:
        assert await self.export(service, "kept", "--shape", "annotations", "--partition") == 2

        assert "annotations have no language to partition by" in capsys.readouterr().err
        assert not (somewhere / "kept").exists()

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

    async def test_the_token_is_sent_and_a_refusal_told(self, somewhere: Path, capsys: Output) -> None:
        async with testing.serve(auth="keys") as served:
            reader = await served.create_key("data:read", name="reader")
            writer = await served.create_key("dialogs:write", name="writer")

            assert await self.export(served, "out.ndjson") == 2
            assert "the token is invalid or missing" in capsys.readouterr().err
            assert await self.export(served, "out.ndjson", "--token", writer) == 2
            assert "data:read" in capsys.readouterr().err
            assert await self.export(served, "out.ndjson", "--token", reader) == 0

        assert (somewhere / "out.ndjson").read_bytes() == b""

    def test_a_server_that_is_not_there_is_told(self, capsys: Output, somewhere: Path, unused_tcp_port: int) -> None:
        said = refused(capsys, "export", "out.ndjson", "--url", f"http://127.0.0.1:{unused_tcp_port}")

        assert str(unused_tcp_port) in said
        assert not list(somewhere.glob("out*"))

    @pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://key@127.0.0.1"])
    def test_a_url_that_is_none_is_told(self, capsys: Output, somewhere: Path, url: str) -> None:
        assert "url: the url must" in refused(capsys, "export", "out.ndjson", "--url", url)
        assert not list(somewhere.glob("out*"))
