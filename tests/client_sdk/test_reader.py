"""The data scientist's door: rows, tables and a copy, against the real service; trouble, against a scripted one."""

import asyncio
import hashlib
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import consentful
from consentful import mirror, tables
from consentful.filters import Shape
from consentful.wire import Message
from consentful_server import testing
from consentful_server.exports.formats.columns import schema
from consentful_server.operations import backup
from consentful_server.stores.open import backend_of
from kept import keep

from .scripted import FakeClock

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false


async def texts(reader: consentful.Reader, **filters: Any) -> list[str]:
    return [message.text async for message in reader.messages(**filters)]


def stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
async def large() -> AsyncGenerator[testing.Served]:
    """Three dialogs of 900 messages."""
    async with testing.serve() as served:
        for number in range(3):
            await keep(served.service, f"d-{number}", [f"{number}-{seq}" for seq in range(900)])
        yield served


class TestRows:
    async def test_messages_and_dialogs_are_iterated_over(self) -> None:
        async with testing.serve() as served:
            said = [Message(1, "Hi"), Message(2, "Hallo", role="bot", language="de")]
            await keep(served.service, "d-1", said, language="en", bot="shop")
            await keep(served.service, "d-2", ["Secret"])
            reader = consentful.Reader(served.url)

            assert await texts(reader) == ["Secret", "Hallo", "Hi"]
            assert await texts(reader, order="stored") == ["Hi", "Hallo", "Secret"]
            assert await texts(reader, language="DE", bot="shop", role="bot") == ["Hallo"]
            assert await texts(reader, q="sECRET") == ["Secret"]
            assert await texts(reader, customer_id="nobody") == []
            assert await texts(reader, until=datetime(2020, 1, 1, tzinfo=UTC)) == []
            (dialog,) = [dialog async for dialog in reader.dialogs(dialog_id="d-1")]
            assert (dialog.messages, dialog.bot, dialog.purposes) == (2, "shop", ["improve-chatbot"])
            assert (dialog.first_text, dialog.metadata, dialog.annotations) == (None, None, None)
            await reader.annotate("d-2", labels=["greeting"])
            named = reader.dialogs(order="longest", include=["first_text", "annotations"])
            longest = [(it.first_text, [one.labels for one in it.annotations or ()]) async for it in named]
            assert longest == [("Hi", []), ("Secret", [["greeting"]])]
            sample = [it.dialog_id async for it in reader.dialogs(order="random", seed=7, limit=1)]
            assert [it.dialog_id async for it in reader.messages(dialog_ids=sample, limit=1)] == sample
            assert [it.dialog_id async for it in reader.dialogs(q="hALLO")] == ["d-1"]
            assert [it.dialog_id async for it in reader.dialogs(metadata={"shop": "Graz"})] == []
            (message,) = [message async for message in reader.messages(dialog_id="d-2")]
            assert repr(message) == "KeptMessage('d-2', seq=1)"
            assert "Secret" not in repr(reader)

    async def test_messages_show_the_metadata_of_their_dialogs_where_they_are_asked_for(self) -> None:
        async with testing.serve() as served:
            await keep(served.service, "d-1", ["Hi", "Hello"], metadata={"shop": "Graz"})
            await keep(served.service, "d-2", ["Secret"])
            reader = consentful.Reader(served.url)

            found = [(it.text, it.metadata) async for it in reader.messages(include=("metadata",))]
            searched = [it.metadata async for it in reader.messages(q="hELLO", include=["metadata"])]

            assert found == [("Secret", None), ("Hello", {"shop": "Graz"}), ("Hi", {"shop": "Graz"})]
            assert searched == [{"shop": "Graz"}]
            assert [it.metadata async for it in reader.messages()] == [None] * 3
            with pytest.raises(ValueError, match="tables have no column for include"):
                await reader.to_arrow(limit=1, include=["metadata"])

    @pytest.mark.parametrize("order", ["newest", "stored"])
    async def test_many_pages_are_one_walk(self, order: Any) -> None:
        async with testing.serve() as served:
            for number in range(3):
                await keep(served.service, f"d-{number}", [f"{number}-{seq}" for seq in range(900)])

            found = await texts(consentful.Reader(served.url), order=order)

        assert sorted(found) == sorted(f"{number}-{seq}" for number in range(3) for seq in range(900))

    @pytest.mark.parametrize("limit", [1, 900, 1000, 1001, 2699, 2700, 9999])
    async def test_a_limit_ends_the_walk_and_no_more_is_read(self, large: testing.Served, limit: int) -> None:
        reader = consentful.Reader(large.url)

        found = await texts(reader, limit=limit)

        assert len(found) == min(limit, 2700)
        assert found == (await texts(reader))[:limit]
        assert len([dialog async for dialog in reader.dialogs(limit=2)]) == 2

    async def test_a_table_can_be_limited_to_the_first_messages(self, large: testing.Served) -> None:
        reader = consentful.Reader(large.url)

        table = await reader.to_arrow(limit=3)

        assert table.schema == (await reader.to_arrow()).schema
        assert table["text"].to_pylist() == await texts(reader, limit=3)
        assert len(await reader.to_pandas(limit=1)) == 1
        with pytest.raises(ValueError, match='limit is for shape="messages"'):
            await reader.to_arrow("chat", limit=3)

    async def test_a_reader_can_be_used_as_a_context(self, large: testing.Served) -> None:
        async with consentful.Reader(large.url) as reader:
            assert len(await texts(reader, limit=5)) == 5

    async def test_a_kept_cursor_goes_on_where_it_stood(self) -> None:
        async with testing.serve() as served:
            reader = consentful.Reader(served.url)
            pages = reader.message_pages(order="stored")
            assert await pages.take() == []
            assert await pages.take() is None
            await keep(served.service, "d-1", ["Hi"])

            again = reader.message_pages(order="stored")
            again.cursor = pages.cursor

            assert [message.text for message in await again.take() or []] == ["Hi"]

    @pytest.mark.parametrize(
        ("filters", "error", "match"),
        [
            ({"colour": "red"}, TypeError, "unknown filter 'colour'; the filters are: language"),
            ({"since": datetime(2026, 1, 1)}, ValueError, "since has no offset"),  # noqa: DTZ001
        ],
    )
    async def test_a_mistake_is_told_at_once(self, filters: dict[str, Any], error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            consentful.Reader("http://127.0.0.1:1").messages(**filters)

    async def test_a_refusal_names_the_filter(self) -> None:
        async with testing.serve() as served:
            with pytest.raises(consentful.Refused, match="language") as refused:
                await texts(consentful.Reader(served.url), language="not a language")

        assert refused.value.code == "bad_request"

    async def test_keys_are_asked_for_and_typed(self) -> None:
        async with testing.serve(auth="keys") as served:
            writer = await served.create_key("dialogs:write", name="writer")
            key = await served.create_key("data:read", name="reader")
            tokens = iter(["old", key])

            with pytest.raises(consentful.Unauthorised):
                await texts(consentful.Reader(served.url))
            with pytest.raises(consentful.Forbidden, match="data:read"):
                await texts(consentful.Reader(served.url, writer))
            assert await texts(consentful.Reader(served.url, lambda: next(tokens))) == []


class TestTables:
    async def test_each_library_gets_all_of_it(self) -> None:
        async with testing.serve() as served:
            await keep(served.service, "d-1", [Message(1, "Hi"), Message(2, "Hello", role="bot")], language="en")
            reader = consentful.Reader(served.url)

            arrow = await reader.to_arrow(order="stored")
            assert arrow.schema == schema("messages") == tables.schema()
            assert arrow["text"].to_pylist() == ["Hi", "Hello"]
            pandas = await reader.to_pandas(role="bot")
            assert (list(pandas.text), pandas.role.dtype.name) == (["Hello"], "category")
            assert str(pandas.received_at.dtype) == "datetime64[us, UTC]"
            polars = await reader.to_polars(q="hi")
            assert polars["text"].to_list() == ["Hi"]
            dataset = await reader.to_dataset("chat")
            assert dataset[0]["messages"] == [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
            ]
            (lines,) = (await reader.to_arrow("chat", roles="customer/bot"))["messages"].to_pylist()
            assert [line["role"] for line in lines] == ["customer", "bot"]
            assert (await reader.to_pandas("dialogs")).messages.tolist() == [2]

    @pytest.mark.parametrize("shape", ["messages", "dialogs", "chat"])
    def test_the_schema_of_a_shape_is_the_services(self, shape: Shape) -> None:
        assert tables.schema(shape) == schema(shape)

    async def test_an_empty_answer_has_the_same_columns(self) -> None:
        async with testing.serve() as served:
            reader = consentful.Reader(served.url)

            assert (await reader.to_arrow()).schema == schema("messages")
            assert len(await reader.to_dataset("chat")) == 0
            assert (await reader.to_polars("dialogs")).height == 0

    @pytest.mark.parametrize(
        ("missing", "call", "install"),
        [
            ("pyarrow", consentful.Reader.to_arrow, r"pip install 'consentful\[data\]'$"),
            ("pandas", consentful.Reader.to_pandas, r"pip install 'consentful\[data\]' pandas$"),
            ("polars", consentful.Reader.to_polars, r"pip install 'consentful\[data\]' polars$"),
            ("datasets", consentful.Reader.to_dataset, r"pip install 'consentful\[data\]' datasets$"),
        ],
    )
    async def test_what_is_not_installed_is_named_before_anything_is_asked(
        self, missing: str, call: Callable[[consentful.Reader], Any], install: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, missing, None)

        with pytest.raises(ImportError, match=install):
            await call(consentful.Reader("http://127.0.0.1:1"))

    def test_the_sdk_alone_loads_none_of_them(self) -> None:
        script = "import consentful, sys; print({'pyarrow', 'pandas', 'tqdm', 'datasets'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)

        assert done.stdout == "set()\n"

    @pytest.mark.parametrize("is_terminal", [True, False])
    async def test_progress_is_for_terminals(
        self, is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)

        with tables.Progress("B", scale=True) as progress:
            progress.add(2_000)

        assert bool(capsys.readouterr().err) == is_terminal


class Cut:
    """Stands before a service and cuts streams off, or alters them, as many times as it is told."""

    def __init__(self, body: bytes, sha256: str, harms: list[str]) -> None:
        self.harms = harms
        self.asked = 0
        self._body = body
        self._sha256 = sha256

    async def messages(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        harm = self.harms.pop(0) if self.harms else ""
        if harm == "503":
            return web.Response(status=503, headers={"Retry-After": "7"})
        response = web.StreamResponse(headers={"Export-Id": "e-1"})
        await response.prepare(request)
        half = len(self._body) // 2
        await response.write(self._body[:half])
        if harm == "cut" and request.transport is not None:
            request.transport.close()
            return response
        if harm != "short":
            await response.write(self._body[half:])
        await response.write_eof()
        return response

    async def manifest(self, _: web.Request) -> web.Response:
        return web.json_response({"complete": True, "sha256": self._sha256})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/messages", self.messages)
        app.router.add_get("/v1/exports/e-1", self.manifest)
        return app


class TestTrouble:
    @pytest.mark.parametrize("harms", [[], ["cut"], ["short"], ["503", "cut", "short"]])
    async def test_a_stream_that_is_not_whole_is_asked_for_anew(self, harms: list[str]) -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, pa.schema([("n", pa.int64())])) as writer:
            writer.write_table(pa.table({"n": range(1000)}))
        body = sink.getvalue().to_pybytes()
        cut, tries = Cut(body, hashlib.sha256(body).hexdigest(), list(harms)), len(harms) + 1
        async with TestServer(cut.app()) as server:
            reader = consentful.Reader(str(server.make_url("")), clock=FakeClock(), random=lambda: 0.5)

            table = await reader.to_arrow()

        assert (table.num_rows, cut.asked) == (1000, tries)

    async def test_patience_ends(self, unused_tcp_port: int) -> None:
        reader = consentful.Reader(f"http://127.0.0.1:{unused_tcp_port}", clock=FakeClock(), random=lambda: 0.5)

        with pytest.raises(consentful.Unavailable, match="try again later"):
            await texts(reader)

    async def test_another_kind_of_server_is_refused(self) -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="<html>secret</html>")

        app = web.Application()
        app.router.add_get("/v1/messages", answer)
        async with TestServer(app) as server:
            with pytest.raises(consentful.Refused, match="not one of a Consentful service") as refused:
                await texts(consentful.Reader(str(server.make_url(""))))
            with pytest.raises(consentful.Refused, match="404"):
                _ = [it async for it in consentful.Reader(str(server.make_url(""))).dialogs()]

        assert refused.value.__context__ is None, "what was wrong with the answer may hold words"


class TestCopy:
    async def test_it_follows_what_is_kept_and_erased(self, tmp_path: Path) -> None:
        folder = tmp_path / "kept"
        async with testing.serve() as served:
            reader = consentful.Reader(served.url)
            assert await reader.sync(folder) == consentful.Synced(0, 0)
            assert duckdb.connect().execute(f"SELECT count(*) FROM '{folder}/*.parquet'").fetchall() == [(0,)]
            await keep(served.service, "d-1", ["aubergine", "Hello"], language="en")
            await keep(served.service, "d-2", ["Bye"])
            assert await reader.sync(folder) == consentful.Synced(3, 0)
            assert await reader.sync(folder) == consentful.Synced(0, 0)
            await served.service.archive.erase("d-1", "requested")
            await keep(served.service, "d-3", ["New"])

            assert await reader.sync(folder) == consentful.Synced(1, 2)

            assert pq.read_table(folder)["text"].to_pylist() == ["Bye", "New"]
            assert pq.read_schema(folder / "part-000000.parquet").equals(schema("messages"))
            assert not any(b"aubergine" in file.read_bytes() for file in folder.iterdir())
            assert await served.service.feed.unconfirmed_since() is None, "the service knows that it was told"

    async def test_a_call_that_was_stopped_is_done_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with testing.serve() as served:
            await keep(served.service, "d-1", ["Hi"])
            reader = consentful.Reader(served.url)
            with monkeypatch.context() as patched:
                patched.setattr(mirror.Mirror, "_save", stop)
                with pytest.raises(KeyboardInterrupt):
                    await reader.sync(tmp_path)
            await keep(served.service, "d-2", ["Bye"])

            await reader.sync(tmp_path)

        assert pq.read_table(tmp_path)["text"].to_pylist() == ["Hi", "Bye"]

    @pytest.mark.parametrize("is_stopped", [False, True])
    async def test_after_a_restore_of_the_service_it_is_made_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stopped: bool
    ) -> None:
        home, folder = tmp_path / "home", tmp_path / "kept"
        async with testing.serve(folder=home) as served:
            await keep(served.service, "d-1", ["Hi"])
            made = await backup.back_up(served.service, tmp_path / "copies", datetime.now(UTC))
            await keep(served.service, "d-2", ["Lost in the restore"])
            pages = consentful.Reader(served.url).message_pages(order="stored")
            await pages.take()
            assert await consentful.Reader(served.url).sync(folder) == consentful.Synced(2, 0)
        shutil.rmtree(home / "data")
        backup.restore(tmp_path / "copies", made.name, backend_of("", home / "data"), home / "keys")

        async with testing.serve(folder=home) as served:
            reader = consentful.Reader(served.url)
            if is_stopped:
                with monkeypatch.context() as patched:
                    patched.setattr(mirror.Mirror, "_save", stop)
                    with pytest.raises(KeyboardInterrupt):
                        await reader.sync(folder)

            assert await reader.sync(folder) == consentful.Synced(1, 0, is_anew=True)
            assert await reader.sync(folder) == consentful.Synced(0, 0)

            assert pq.read_table(folder)["text"].to_pylist() == ["Hi"]
            kept = reader.message_pages(order="stored")
            kept.cursor = pages.cursor
            with pytest.raises(consentful.Refused, match="delete your copy") as refused:
                await kept.take()
            assert refused.value.code == "restored"

    async def test_a_folder_is_of_one_question_and_one_process(self, tmp_path: Path) -> None:
        async with testing.serve() as served:
            reader = consentful.Reader(served.url)
            await reader.sync(tmp_path, language="en")

            with pytest.raises(ValueError, match="other filters"):
                await reader.sync(tmp_path, language="de")
            with pytest.raises(ValueError, match="in commit order"):
                await reader.sync(tmp_path, order="newest")
            both = await asyncio.gather(
                *(reader.sync(tmp_path, language="en") for _ in range(2)), return_exceptions=True
            )
            assert [type(it) for it in both] == [consentful.Synced, BlockingIOError]


def test_blocking_code_reads_the_same(tmp_path: Path) -> None:
    async def blocking() -> None:
        async with testing.serve() as served:
            await keep(served.service, "d-1", ["Hi", "Bye"])
            reader = consentful.sync.Reader(served.url)

            def read() -> None:
                assert [message.text for message in reader.messages(order="stored")] == ["Hi", "Bye"]
                assert [dialog.dialog_id for dialog in reader.dialogs()] == ["d-1"]
                assert reader.to_arrow().num_rows == len(reader.to_pandas()) == reader.to_polars().height == 2
                assert reader.to_dataset("chat").num_rows == 1
                assert reader.sync(tmp_path) == consentful.Synced(2, 0)
                assert repr(reader) == f"Reader({served.url!r})"

            await asyncio.to_thread(read)

    asyncio.run(blocking())
