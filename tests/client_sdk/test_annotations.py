"""Annotations through the reader, against the real service: written, found, exported as a table, removed."""

# pyarrow tells no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

import consentful
from consentful import tables
from consentful_server import testing
from consentful_server.exports.formats.columns import schema
from kept import keep

NOTE = "She sounds upset"


@pytest.fixture
async def reader() -> AsyncGenerator[consentful.Reader]:
    async with testing.serve() as served:
        await keep(served.service, "d-1", ["Where?", "There."])
        await keep(served.service, "d-2", ["Hello"])
        yield consentful.Reader(served.url)


async def test_what_is_said_is_found_and_removed(reader: consentful.Reader) -> None:
    said = await reader.annotate("d-1", 2, labels=["intent/parcel"], note=NOTE, review="accepted")
    await reader.annotate("d-2", labels=["short"])

    assert (said.seq, said.labels, said.note, said.review) == (2, ["intent/parcel"], NOTE, "accepted")
    assert NOTE not in repr(said)
    assert [it.dialog_id async for it in reader.annotations()] == ["d-2", "d-1"]
    assert [it.seq async for it in reader.annotations(label="intent/parcel", review="accepted")] == [2]
    assert [it.text async for it in reader.messages(label="intent/parcel")] == ["There."]
    assert [it.dialog_id async for it in reader.dialogs(review="accepted")] == ["d-1"]

    await reader.remove_annotation("d-1", 2)
    await reader.remove_annotation("d-1", 2)

    assert [it.dialog_id async for it in reader.annotations()] == ["d-2"]


async def test_a_limit_holds_within_a_dialog(reader: consentful.Reader) -> None:
    for seq in (None, 1, 2):
        await reader.annotate("d-1", seq, review="pending")

    assert len([it async for it in reader.annotations(limit=2)]) == 2


async def test_what_was_changed_meanwhile_is_refused(reader: consentful.Reader) -> None:
    first = await reader.annotate("d-1", labels=["a"])
    second = await reader.annotate("d-1", labels=["b"], if_match=first.etag)

    with pytest.raises(consentful.Refused, match="changed") as refusal:
        await reader.annotate("d-1", labels=["c"], if_match=first.etag)

    assert refusal.value.code == "stale"
    assert [it.etag async for it in reader.annotations()] == [second.etag]


async def test_a_table_has_the_columns_of_an_export(reader: consentful.Reader) -> None:
    await reader.annotate("d-1", labels=["a", "b"], note=NOTE)

    table = await reader.to_arrow("annotations")

    assert table.schema == schema("annotations") == tables.schema("annotations")
    assert table.column("labels").to_pylist() == [["a", "b"]]


async def test_mistakes_are_told_before_anything_is_sent(reader: consentful.Reader, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seq begins with 1"):
        await reader.annotate("d-1", 0, labels=["a"])
    with pytest.raises(TypeError, match="labels must be a list"):
        await reader.annotate("d-1", labels="ab")
    with pytest.raises(ValueError, match="sync takes no label"):
        await reader.sync(tmp_path / "kept", label="a")


async def test_blocking_code_does_the_same(reader: consentful.Reader) -> None:
    blocking = consentful.sync.Reader(str(reader._client.url))  # pyright: ignore[reportPrivateUsage]

    def work() -> list[str | None]:
        blocking.annotate("d-1", note=NOTE)
        found = [it.note for it in blocking.annotations()]
        blocking.remove_annotation("d-1")
        return [*found, *(it.note for it in blocking.annotations())]

    assert await asyncio.to_thread(work) == [NOTE]
