"""`/v1/annotations` over a real socket: written by their annotators, found by filters, erased with the dialog."""

# pyarrow tells no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiohttp import ClientResponse, ClientSession

from consentful.wire import Message
from consentful_server.consent.notices import Wording
from consentful_server.testing import FakeClock, Served
from kept import bearer, get, keep

NOTE = "She sounds upset about the parcel"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"auth": "keys"}


class People:
    """The keys of a test's annotators and readers."""

    def __init__(self, ann: str, bob: str, reader: str, officer: str) -> None:
        self.ann, self.bob, self.reader, self.officer = ann, bob, reader, officer


@pytest.fixture
async def people(service: Served) -> People:
    await keep(service.service, "d-1", ["Where?", Message(2, "There.", "bot")], language="en", bot="shop")
    await keep(service.service, "d-2", ["Wo?"], language="de", customer_id="c-2")
    return People(
        await service.create_key("data:read", "data:annotate", name="ann"),
        await service.create_key("data:annotate", name="bob"),
        await service.create_key("data:read", name="reader"),
        await service.create_key("privacy", name="officer"),
    )


async def put(
    http: ClientSession, token: str | None, path: str, headers: dict[str, str] | None = None, **said: Any
) -> ClientResponse:
    response = await http.put(f"/v1/annotations/{path}", json=said, headers={**bearer(token), **(headers or {})})
    await response.read()
    return response


async def listed(http: ClientSession, token: str, **asked: Any) -> list[tuple[str, int | None, str]]:
    items = (await get(http, "/v1/annotations", token=token, **asked))["items"]
    return [(it["dialog_id"], it["seq"], it["annotator"]) for it in items]


async def test_what_is_written_is_read(http: ClientSession, people: People, clock: FakeClock) -> None:
    created = await put(http, people.ann, "d-1", labels=["intent/parcel", "a", "a"], note=NOTE, review="accepted")
    again = await put(http, people.ann, "d-1", labels=["intent/parcel", "a"], note=NOTE, review="accepted")
    changed = await put(http, people.ann, "d-1", labels=["b"])
    of_message = await put(http, people.bob, "d-1/2", note="Good")

    assert [it.status for it in (created, again, changed, of_message)] == [201, 200, 200, 201]
    assert await again.json() == await created.json()
    assert changed.headers["ETag"] == (await changed.json())["etag"] != created.headers["ETag"]
    (mine, bobs) = (await get(http, "/v1/annotations", token=people.reader))["items"]
    assert mine == {
        "dialog_id": "d-1",
        "seq": None,
        "annotator": "ann",
        "labels": ["b"],
        "note": None,
        "review": None,
        "written_at": clock.now().isoformat().replace("+00:00", "Z"),
        "etag": changed.headers["ETag"],
    }
    assert (bobs["seq"], bobs["annotator"], bobs["note"]) == (2, "bob", "Good")


async def test_each_annotator_reads_their_own_at_its_address(http: ClientSession, people: People) -> None:
    written = await put(http, people.ann, "d-1/2", labels=["a"])

    found = await http.get("/v1/annotations/d-1/2", headers=bearer(people.ann))

    assert (found.status, found.headers["ETag"]) == (200, written.headers["ETag"])
    assert await found.json() == await written.json()
    for token, path in ((people.bob, "d-1/2"), (people.ann, "d-1"), (people.ann, "d-9")):
        assert (await http.get(f"/v1/annotations/{path}", headers=bearer(token))).status == 404
    (entry,) = (await get(http, "/v1/access-log", token=people.officer, action="annotations.read"))["items"]
    assert (entry["who"], entry["rows"], entry["dialogs"]) == ("ann", 1, 1)


async def test_two_windows_of_one_annotator_do_not_overwrite_each_other(http: ClientSession, people: People) -> None:
    first = (await put(http, people.ann, "d-1", labels=["a"])).headers["ETag"]
    second = (await put(http, people.ann, "d-1", {"If-Match": first}, labels=["b"])).headers["ETag"]

    stale = await put(http, people.ann, "d-1", {"If-Match": first}, labels=["c"])
    repeated = await put(http, people.ann, "d-1", {"If-Match": first}, labels=["b"])
    not_new = await put(http, people.ann, "d-1", {"If-None-Match": "*"}, labels=["c"])
    either = await put(http, people.ann, "d-1", {"If-Match": f'"x", {second}'}, labels=["c"])

    assert (stale.status, (await stale.json())["code"]) == (412, "stale")
    assert (repeated.status, repeated.headers["ETag"]) == (200, second)  # RFC 9110 §13.1.1: it was done already
    assert not_new.status == 412
    assert either.status == 200


@pytest.mark.parametrize(
    ("headers", "said", "parameter"),
    [
        ({}, {}, "body"),
        ({}, {"labels": []}, "body"),
        ({}, {"labels": ["Two words"]}, "labels"),
        ({}, {"labels": [NOTE]}, "labels"),
        ({}, {"labels": ["a\n"]}, "labels"),
        ({}, {"labels": [f"l-{number}" for number in range(21)]}, "labels"),
        ({}, {"labels": "a"}, "labels"),
        ({}, {"note": ""}, "note"),
        ({}, {"note": "x" * 4001}, "note"),
        ({}, {"review": "perhaps"}, "review"),
        ({}, {"note": "a", "colour": "red"}, "colour"),
        ({"If-Match": ""}, {"note": "a"}, "If-Match"),
        ({"If-Match": "abc"}, {"note": "a"}, "If-Match"),
        ({"If-None-Match": '"abc"'}, {"note": "a"}, "If-None-Match"),
    ],
)
async def test_what_is_malformed_is_named_and_not_quoted(
    http: ClientSession, people: People, headers: dict[str, str], said: dict[str, Any], parameter: str
) -> None:
    refused = await put(http, people.ann, "d-1", headers, **said)

    problem = await refused.json()
    assert (refused.status, problem["code"], problem["parameter"]) == (400, "bad_request", parameter)
    assert NOTE not in problem["detail"]
    assert await listed(http, people.reader) == []


@pytest.mark.parametrize("path", ["d-9", "d-1/3", "d-2/2"])
async def test_what_is_not_stored_cannot_be_annotated(http: ClientSession, people: People, path: str) -> None:
    assert (await put(http, people.ann, path, note="a")).status == 404


@pytest.mark.parametrize("path", ["d-1/0", "d-1/x", "d-1/-1", f"d-1/{2**31}"])
async def test_a_seq_begins_with_one(http: ClientSession, people: People, path: str) -> None:
    assert (await put(http, people.ann, path, note="a")).status == 400


async def test_each_scope_does_its_own_part(http: ClientSession, people: People) -> None:
    assert (await put(http, people.reader, "d-1", note="a")).status == 403
    assert (await put(http, people.officer, "d-1", note="a")).status == 403
    assert (await put(http, None, "d-1", note="a")).status == 401
    await put(http, people.ann, "d-1", note="a")
    for token in (people.bob, people.officer):
        assert (await http.get("/v1/annotations", headers=bearer(token))).status == 403
    for token in (people.reader, people.bob):
        answer = await http.delete("/v1/annotations/d-1?annotator=ann", headers=bearer(token))
        assert answer.status == 403
    assert (await http.delete("/v1/annotations/d-1", headers=bearer(people.officer))).status == 400
    assert await listed(http, people.reader) == [("d-1", None, "ann")]

    removed = await http.delete("/v1/annotations/d-1?annotator=ann", headers=bearer(people.officer))

    assert removed.status == 204
    assert await listed(http, people.reader) == []


async def test_deleting_is_idempotent(http: ClientSession, people: People) -> None:
    tag = (await put(http, people.ann, "d-1/1", note="a")).headers["ETag"]
    await put(http, people.ann, "d-1", note="b")

    for headers, status in (({"If-Match": '"x"'}, 412), ({"If-Match": tag}, 204), ({}, 204), ({"If-Match": tag}, 412)):
        answer = await http.delete("/v1/annotations/d-1/1", headers={**bearer(people.ann), **headers})
        assert answer.status == status, headers

    assert await listed(http, people.reader) == [("d-1", None, "ann")]


async def test_messages_and_dialogs_are_found_by_what_was_said_of_them(http: ClientSession, people: People) -> None:
    await put(http, people.ann, "d-1/2", labels=["polite"], review="accepted")
    await put(http, people.bob, "d-1", labels=["polite"], review="rejected")
    await put(http, people.ann, "d-2", labels=["short"], review="accepted")

    async def messages(**asked: Any) -> list[tuple[str, int]]:
        items = (await get(http, "/v1/messages", token=people.reader, order="stored", **asked))["items"]
        return [(it["dialog_id"], it["seq"]) for it in items]

    assert await messages(label="polite", review="accepted") == [("d-1", 2)]
    assert await messages(label="polite") == [("d-1", 1), ("d-1", 2)]
    assert await messages(label="polite", role="customer") == [("d-1", 1)]
    assert await messages(review="accepted", language="de") == [("d-2", 1)]
    assert await messages(label="none") == []
    dialogs = await get(http, "/v1/dialogs", token=people.reader, review="accepted")
    assert [it["dialog_id"] for it in dialogs["items"]] == ["d-2", "d-1"]
    assert await listed(http, people.reader, review="accepted") == [("d-2", None, "ann"), ("d-1", 2, "ann")]
    assert await listed(http, people.reader, annotator="bob", dialog_id="d-1") == [("d-1", None, "bob")]
    search = {"q": "THERE", "label": "polite"}
    async with http.post("/v1/messages/search", json=search, headers=bearer(people.reader)) as response:
        assert [it["seq"] for it in (await response.json())["items"]] == [2]


async def test_pages_show_each_annotation_once(http: ClientSession, people: People) -> None:
    for path, token in (("d-1", people.ann), ("d-1/1", people.bob), ("d-1/2", people.bob), ("d-2", people.ann)):
        await put(http, token, path, note="a")
    found: list[tuple[str, int | None, str]] = []
    cursor: dict[str, str] = {}

    while True:
        page = await get(http, "/v1/annotations", token=people.reader, limit=2, **cursor)
        found += [(it["dialog_id"], it["seq"], it["annotator"]) for it in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert found == [("d-2", None, "ann"), ("d-1", None, "ann"), ("d-1", 1, "bob"), ("d-1", 2, "bob")]


async def test_they_are_exported_in_every_format_with_a_manifest(http: ClientSession, people: People) -> None:
    await put(http, people.ann, "d-1", labels=["a", "b"], note="=1+1", review="pending")
    await put(http, people.bob, "d-1/2", labels=["b"])

    async def export(form: str) -> tuple[bytes, dict[str, Any]]:
        headers, params = bearer(people.reader), {"format": form, "label": "b"}
        async with http.get("/v1/annotations", params=params, headers=headers) as response:
            assert response.status == 200
            data, name = await response.read(), response.headers["Export-Id"]
        return data, await get(http, f"/v1/exports/{name}", token=people.reader)

    lines, manifest = await export("ndjson")
    table, _ = await export("csv")
    parquet, _ = await export("parquet")
    arrow, _ = await export("arrow")

    assert [json.loads(line)["seq"] for line in lines.splitlines()] == [None, 2]
    assert (manifest["shape"], manifest["rows"], manifest["complete"]) == ("annotations", 2, True)
    assert manifest["filter"]["label"] == "b"
    assert "terms" not in manifest["filter"]
    assert table.decode().splitlines()[1].startswith("d-1,,ann,a b,'=1+1,pending,")
    rows = pq.read_table(io.BytesIO(parquet)).to_pylist()
    assert [(row["seq"], row["labels"], row["review"]) for row in rows] == [
        (None, ["a", "b"], "pending"),
        (2, ["b"], None),
    ]
    assert arrow


async def test_the_access_log_has_who_wrote_and_who_read(http: ClientSession, people: People) -> None:
    await put(http, people.ann, "d-1", note=NOTE)
    await put(http, people.ann, "d-1", note=NOTE)  # it changes nothing, so it is no event
    await listed(http, people.reader, label="a")
    await listed(http, people.reader)
    await http.delete("/v1/annotations/d-1", headers=bearer(people.ann))

    entries = (await get(http, "/v1/access-log", token=people.officer, limit=4))["items"]

    assert [(it["action"], it["who"], it["rows"], it["dialogs"]) for it in entries] == [
        ("annotation.deleted", "ann", 1, 1),
        ("annotations.read", "reader", 1, 1),
        ("annotations.read", "reader", 0, 0),
        ("annotation.written", "ann", 1, 1),
    ]
    assert entries[2]["values"] == {"label": "a"}
    assert NOTE not in str(entries)


async def test_the_customer_is_told_what_was_noted(http: ClientSession, people: People) -> None:
    await put(http, people.ann, "d-1/1", labels=["rude"], note=NOTE, review="rejected")

    for kind in ("access", "portability"):
        asked = {"kind": kind, "customer_id": "c-1"}
        async with http.post("/v1/privacy-requests", json=asked, headers=bearer(people.officer)) as response:
            (dialog,) = (await response.json())["dialogs"]
        (told,) = dialog["annotations"]
        assert (told["seq"], told["annotator"], told["note"], told["labels"]) == (1, "ann", NOTE, ["rude"])


async def test_erasing_the_dialog_erases_what_was_said_of_it(
    http: ClientSession, people: People, service: Served
) -> None:
    await put(http, people.ann, "d-1", labels=["a"], note=NOTE)

    await http.delete("/v1/dialogs/d-1", headers=bearer(people.officer))

    assert await listed(http, people.reader) == []
    assert (await put(http, people.ann, "d-1", note="a")).status == 404
    assert (await http.delete("/v1/annotations/d-1", headers=bearer(people.ann))).status == 404
    erased = (await get(http, "/v1/erasures", token=people.reader))["items"]
    assert [it["dialog_id"] for it in erased] == ["d-1"]
    residue = await service.service.store.dialogs.residue(["d-1"])
    assert (residue.keys, residue.rows) == (0, 0)


async def test_a_key_that_is_bound_to_purposes_sees_and_writes_within_them(
    http: ClientSession, people: People, service: Served, two_purposes: Wording
) -> None:
    await keep(service.service, "d-3", purposes=["improve"])
    await put(http, people.ann, "d-3", note="a")
    inside = await service.create_key("data:read", "data:annotate", name="in", purposes=("improve",))
    outside = await service.create_key("data:read", "data:annotate", name="out", purposes=("research",))

    assert await listed(http, inside) == [("d-3", None, "ann")]
    assert await listed(http, outside) == []
    assert (await put(http, inside, "d-3", note="b")).status == 201
    assert (await put(http, outside, "d-3", note="b")).status == 404
    assert (await http.delete("/v1/annotations/d-3", headers=bearer(outside))).status == 404
