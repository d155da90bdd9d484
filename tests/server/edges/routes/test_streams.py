"""Streams over HTTP: every format, compressed or not, of messages, dialogs and chats."""

# pyarrow tells no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false

import asyncio
import csv
import gzip
import hashlib
import io
import json
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import ClientPayloadError, ClientSession

from consentful.wire import Message
from consentful_server.exports.formats import MEDIA, Format
from consentful_server.exports.formats.compression import Coding
from consentful_server.reading import streams
from consentful_server.testing import FakeClock, Served
from kept import bearer, export_ended, get, keep

FORMS: tuple[Format, ...] = ("ndjson", "csv", "parquet", "arrow")
RAW = {"Accept-Encoding": "identity"}


async def fetch(http: ClientSession, path: str, **params: str) -> bytes:
    async with http.get(path, params=params, headers=RAW) as response:
        assert response.status == 200, await response.text()
        return await response.read()


def rows_of(form: str, data: bytes) -> list[dict[str, Any]]:
    if form == "ndjson":
        return [json.loads(line) for line in data.splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    table = pq.read_table(io.BytesIO(data)) if form == "parquet" else pa.ipc.open_stream(data).read_all()
    return table.to_pylist()


async def last_chunk(url: str, path: str, version: str, **headers: str) -> tuple[bytes, bytes]:
    """Return the head of an answer, and what follows its last line of data."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    fields = "".join(
        f"{name}: {value}\r\n" for name, value in ({"Host": "127.0.0.1", "Connection": "close"} | headers).items()
    )
    writer.write(f"GET {path} HTTP/{version}\r\n{fields}\r\n".encode())
    head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head, rest.rpartition(b"\r\n0\r\n")[2] if b"chunked" in head else rest.rpartition(b"\n")[2]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_whole_stream_ends_with_a_trailer_that_tells_rows_and_digest(
    http: ClientSession, service: Served, coding: str
) -> None:
    await keep(service.service, "d-1", ["one", "two"])
    whole = await fetch(http, "/v1/messages", format="ndjson")

    head, trailer = await last_chunk(service.url, "/v1/messages?format=ndjson", "1.1", **{"Accept-Encoding": coding})

    assert b"Trailer: Export-Rows, Export-Sha256" in head
    digest = hashlib.sha256(whole).hexdigest()
    assert trailer == f"Export-Rows: 2\r\nExport-Sha256: {digest}\r\n\r\n".encode()


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
async def test_a_stream_stops_soon_after_its_key_is_revoked(
    http: ClientSession, service: Served, clock: FakeClock
) -> None:
    for number in range(40):
        await keep(service.service, f"d-{number}", ["x" * 30_000] * 30)
    key = await service.create_key(name="leaked")
    response = await http.get("/v1/messages?format=ndjson", headers=RAW | bearer(key))
    await response.content.readany()

    assert await service.service.store.credentials.revoke(key.split("_")[1])
    clock.advance(5)

    with pytest.raises(ClientPayloadError):
        await response.read()
    reader = await service.create_key("data:read", "privacy", name="officer")
    manifest = await get(http, f"/v1/exports/{response.headers['Export-Id']}", token=reader)
    assert (manifest["complete"], manifest["rows"] < 1_200) == (False, True)


async def test_a_client_without_chunks_gets_no_trailer(service: Served) -> None:
    await keep(service.service, "d-1", ["one", "two"])

    head, rest = await last_chunk(service.url, "/v1/messages?format=ndjson", "1.0")

    assert b"Trailer" not in head
    assert rest == b""


class TestMessages:
    @pytest.mark.parametrize("form", FORMS)
    async def test_every_format_holds_the_whole_result(self, http: ClientSession, service: Served, form: str) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", [f"{number} {seq}" for seq in range(500)], language="de")

        rows = rows_of(form, await fetch(http, "/v1/messages", format=form, order="stored"))

        assert [row["text"] for row in rows] == [f"{number} {seq}" for number in range(3) for seq in range(500)]
        assert {row["language"] for row in rows} == {"de"}
        assert {row["customer_id"] for row in rows} == {"c-1"}

    @pytest.mark.parametrize("form", FORMS)
    async def test_the_header_says_what_it_is(self, http: ClientSession, form: Format) -> None:
        async with http.get("/v1/messages", headers={"Accept": MEDIA[form]}) as response:
            assert (response.status, response.content_type) == (200, MEDIA[form])
            assert "Accept" in response.headers["Vary"]

    @pytest.mark.parametrize(
        ("path", "params"),
        [
            ("/v1/messages", {"format": "xml"}),
            ("/v1/dialogs", {"format": "PARQUET"}),
        ],
    )
    async def test_an_unknown_format_is_406_with_the_list(
        self, http: ClientSession, path: str, params: dict[str, str]
    ) -> None:
        async with http.get(path, params=params) as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (406, "not_acceptable")
            assert MEDIA["parquet"] in problem["detail"]

    @pytest.mark.parametrize(
        ("params", "status"),
        [
            ({"after": "1@d-1", "order": "stored", "format": "ndjson"}, 200),
            ({"after": "d-1", "order": "stored", "format": "ndjson"}, 200),
            ({"after": "1@d-9", "order": "stored", "format": "ndjson"}, 400),
            ({"after": "1@d-1", "format": "ndjson"}, 400),
            ({"after": "1@d-1", "order": "stored"}, 400),
            ({"after": "one@d-1", "order": "stored", "format": "ndjson"}, 400),
        ],
    )
    async def test_a_stream_goes_on_after_a_row(
        self, http: ClientSession, service: Served, params: dict[str, str], status: int
    ) -> None:
        await keep(service.service, "d-1", ["one", "two"])
        await keep(service.service, "d-2", ["three"])

        async with http.get("/v1/messages", params=params, headers=RAW) as response:
            assert response.status == status
            if status == 200:
                rest = [row["text"] for row in rows_of("ndjson", await response.read())]
                assert rest == (["two", "three"] if "@" in params["after"] else ["three"])
            else:
                assert (await response.json())["parameter"] == "after"

    async def test_an_unknown_shape_is_named(self, http: ClientSession) -> None:
        async with http.get("/v1/messages?shape=square") as response:
            assert (response.status, (await response.json())["parameter"]) == (400, "shape")

    async def test_rows_of_any_length_come_whole(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "_MOST_BYTES", 2_000)
        monkeypatch.setattr(streams, "_FEW_ROWS", 2)
        said = ["x" * length for length in (1, 3_000, 1, 1, 9_000, 1, 1, 1, 1, 1, 1, 1)]
        await keep(service.service, "d-1", said)

        rows = rows_of("ndjson", await fetch(http, "/v1/messages", format="ndjson", order="stored"))

        assert [row["text"] for row in rows] == said

    async def test_an_erasure_completes_while_a_stream_runs_and_is_not_in_it(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "_FEW_ROWS", 1)
        store, is_erased = service.service.store.dialogs, asyncio.Event()
        read = store.list_messages

        async def messages(selection: Any, block: Any) -> Any:
            if selection.after is not None:
                await is_erased.wait()
            return await read(selection, block)

        monkeypatch.setattr(store, "list_messages", messages)
        for number in range(6):
            await keep(service.service, f"d-{number}")

        response = await http.get("/v1/messages?format=ndjson&order=stored", headers=RAW)
        first = await response.content.readline()
        async with http.delete("/v1/dialogs/d-5") as erased:
            assert (erased.status, (await erased.json())["status"]) == (200, "unreadable")
        is_erased.set()
        rest = await response.content.read()

        ids = [json.loads(line)["dialog_id"] for line in (first + rest).splitlines()]
        assert ids == [f"d-{number}" for number in range(5)]

    async def test_a_reader_that_stops_leaves_nothing_running(self, http: ClientSession, service: Served) -> None:
        for number in range(20):
            await keep(service.service, f"d-{number}", ["x" * 30_000] * 30)
        with export_ended(service.service) as ended:
            response = await http.get("/v1/messages?format=parquet")
            await response.content.readany()
            response.close()

            async with asyncio.timeout(5):
                await ended.wait()

        found = await get(http, f"/v1/exports/{response.headers['Export-Id']}")
        assert found["ended_at"] is not None
        assert not found["complete"]


class TestCompression:
    @pytest.mark.parametrize(
        ("accepted", "coding"),
        [
            ("gzip", "gzip"),
            ("gzip, deflate, br", "gzip"),
            ("zstd", "zstd"),
            ("gzip, zstd", "zstd"),
            ("zstd;q=0, gzip", "gzip"),
            ("br", None),
            ("identity", None),
        ],
    )
    async def test_a_stream_is_squeezed_as_the_client_likes(
        self, service: Served, accepted: str, coding: Coding | None
    ) -> None:
        await keep(service.service, "d-1", ["Hi"] * 100)
        async with (
            ClientSession(service.url, auto_decompress=False) as http,
            http.get("/v1/messages?format=ndjson", headers={"Accept-Encoding": accepted}) as response,
        ):
            data = await response.read()
            assert response.headers.get("Content-Encoding") == coding
            assert "Accept-Encoding" in response.headers["Vary"]

        plain = data if coding is None else pa.input_stream(io.BytesIO(data), compression=coding).read()
        assert len(plain.splitlines()) == 100
        assert coding is None or len(data) < len(plain) / 5

    async def test_parquet_is_not_squeezed_twice(self, http: ClientSession) -> None:
        async with http.get("/v1/messages?format=parquet", headers={"Accept-Encoding": "gzip"}) as response:
            assert "Content-Encoding" not in response.headers

    async def test_an_empty_stream_is_a_whole_one(self, service: Served) -> None:
        async with (
            ClientSession(service.url, auto_decompress=False) as http,
            http.get("/v1/messages?format=csv", headers={"Accept-Encoding": "gzip"}) as response,
        ):
            (head,) = gzip.decompress(await response.read()).splitlines()
        assert head.startswith(b"dialog_id,seq,customer")


class TestDialogsAndChats:
    @pytest.mark.parametrize("form", FORMS)
    async def test_dialogs_stream_with_their_consent(self, http: ClientSession, service: Served, form: str) -> None:
        await keep(service.service, "d-1", ["one", "two"], bot="shop")
        await keep(service.service, "d-2")

        rows = rows_of(form, await fetch(http, "/v1/dialogs", format=form, order="stored"))

        assert [(row["dialog_id"], int(row["messages"])) for row in rows] == [("d-1", 2), ("d-2", 1)]
        notice = rows[0]["notice"]["id"] if form == "ndjson" else rows[0]["notice_id"]
        assert notice == "default-1"

    @pytest.mark.parametrize("form", ["ndjson", "parquet", "arrow"])
    async def test_a_chat_is_a_row_of_roles_and_contents(self, http: ClientSession, service: Served, form: str) -> None:
        said = [Message(1, "Where is my parcel?"), Message(2, "It arrives tomorrow.", role="bot")]
        await keep(service.service, "d-1", said)

        (row,) = rows_of(form, await fetch(http, "/v1/messages", format=form, shape="chat"))

        assert row["messages"] == [
            {"role": "user", "content": "Where is my parcel?"},
            {"role": "assistant", "content": "It arrives tomorrow."},
        ]

    @pytest.mark.parametrize(
        ("roles", "named"),
        [
            (None, ["user", "user", "assistant", "assistant"]),
            ("user/assistant", ["user", "user", "assistant", "assistant"]),
            ("customer/bot", ["customer", "customer", "bot", "agent"]),
        ],
    )
    async def test_roles_are_those_of_chat_templates_or_those_that_were_stored(
        self, http: ClientSession, service: Served, roles: str | None, named: list[str]
    ) -> None:
        said = [Message(1, "Hi"), Message(2, "Hi?"), Message(3, "Hello", role="bot"), Message(4, "Ann", role="agent")]
        await keep(service.service, "d-1", said)
        asked = {"shape": "chat"} | ({} if roles is None else {"roles": roles})

        (streamed,) = rows_of("ndjson", await fetch(http, "/v1/messages", format="ndjson", **asked))
        (listed,) = (await get(http, "/v1/messages", **asked))["items"]
        async with http.post("/v1/messages/search", json=asked) as response:
            (found,) = (await response.json())["items"]

        assert streamed["messages"] == listed["messages"] == found["messages"]
        assert [line["role"] for line in listed["messages"]] == named
        assert [line["content"] for line in listed["messages"]] == ["Hi", "Hi?", "Hello", "Ann"], "a line a message"

    async def test_the_next_page_has_the_same_roles(self, http: ClientSession, service: Served) -> None:
        for number in range(2):
            await keep(service.service, f"d-{number}")

        async with http.get(
            "/v1/messages", params={"shape": "chat", "roles": "customer/bot", "limit": "1"}
        ) as response:
            following = response.links["next"]["url"]
        async with http.get(following) as response:
            (row,) = (await response.json())["items"]

        assert row["messages"][0]["role"] == "customer"

    async def test_chats_come_in_pages_as_well(self, http: ClientSession, service: Served) -> None:
        for number in range(3):
            await keep(service.service, f"d-{number}", ["Hi", str(number)])

        first = await get(http, "/v1/messages", shape="chat", order="stored", limit=2)
        second = await get(http, "/v1/messages", shape="chat", order="stored", limit=2, cursor=first["next"])
        async with http.post("/v1/messages/search", json={"q": "2", "shape": "chat", "limit": 1}) as response:
            found = await response.json()

        items = first["items"] + second["items"]
        assert [item["messages"][1]["content"] for item in items] == ["0", "1", "2"]
        assert [item["dialog_id"] for item in found["items"]] == ["d-2"]

    async def test_a_search_streams_the_chats_that_hold_the_words(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", ["My PARCEL is late", "Oh"])
        await keep(service.service, "d-2", ["Hello"])

        body = {"q": "parcel", "shape": "chat", "format": "ndjson"}
        async with http.post("/v1/messages/search", json=body, headers=RAW) as response:
            (row,) = rows_of("ndjson", await response.read())

        assert row["dialog_id"] == "d-1"
        assert len(row["messages"]) == 2, "a dialog comes whole"

    async def test_head_tells_the_type_and_nothing_else(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")
        async with http.head("/v1/messages?format=parquet") as response:
            assert (response.status, response.content_type) == (200, MEDIA["parquet"])
            assert await response.read() == b""


@pytest.mark.parametrize(("form", "content_type"), [("csv", "text/csv; charset=utf-8"), ("ndjson", MEDIA["ndjson"])])
async def test_csv_says_that_it_is_utf_8(service: Served, http: ClientSession, form: str, content_type: str) -> None:
    await keep(service.service, "d-1", ["zwölf ✓"])

    async with http.get("/v1/messages", params={"format": form}) as response:
        assert response.headers["Content-Type"] == content_type
        assert "zwölf ✓" in await response.text()
    async with http.head("/v1/messages", params={"format": form}) as response:
        assert response.headers["Content-Type"] == content_type


async def test_csv_begins_with_a_byte_order_mark_where_it_is_asked_for(service: Served, http: ClientSession) -> None:
    await keep(service.service, "d-1", ["zwölf"])

    plain = await fetch(http, "/v1/messages", format="csv")
    marked = await fetch(http, "/v1/messages", format="csv", bom="true")
    async with http.post("/v1/messages/search", json={"format": "csv", "bom": True}, headers=RAW) as response:
        searched = await response.read()

    assert marked == searched == b"\xef\xbb\xbf" + plain
    async with http.get("/v1/messages", params={"bom": "maybe", "format": "csv"}) as response:
        assert response.status == 400
