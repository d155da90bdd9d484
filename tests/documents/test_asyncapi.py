"""The AsyncAPI document: valid, every frame, error and close code, and its examples are frames."""

import asyncio
import json
import tarfile
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from jsonschema import Draft7Validator

from consentful import wire
from consentful_server.documents import asyncapi
from consentful_server.documents.examples import EXAMPLES
from consentful_server.documents.schemas import Auth
from consentful_server.edges.http import faults
from consentful_server.testing import serve
from kept import get
from needs import need

DOCUMENT = asyncapi.describe()
FRAMES = (*asyncapi.FROM_CLIENT, *asyncapi.FROM_SERVER)
SPECIFICATION = "@asyncapi/specs@6.11.1"


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_it_is_valid_asyncapi_3_0() -> None:
    from asyncapi3.models import AsyncAPI3

    AsyncAPI3.model_validate(DOCUMENT)
    with pytest.raises(ValueError, match="action"):
        AsyncAPI3.model_validate(DOCUMENT | {"operations": {"x": {"action": "shout"}}})


@pytest.mark.prove
async def test_it_fits_the_schema_that_the_specification_is_published_with(tmp_path: Path) -> None:
    """The schema is on npm only; this fetches it."""
    packing = await asyncio.create_subprocess_exec(
        *(need("npm"), "pack", "--silent", SPECIFICATION), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    name, _ = await packing.communicate()
    with tarfile.open(tmp_path / name.decode().strip()) as package:
        file = package.extractfile("package/schemas/3.0.0.json")
        assert file
        validator: Any = Draft7Validator(json.load(file))

    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    assert list(validator.iter_errors(DOCUMENT | {"operations": {"x": {"action": "shout"}}}))


@pytest.mark.parametrize("auth", ["none", "keys"])
async def test_it_is_what_the_service_publishes(auth: Auth) -> None:
    document = asyncapi.describe(auth=auth)
    async with serve(auth=auth) as service, aiohttp.ClientSession(service.url) as http:
        assert await get(http, "/asyncapi.json") == msgspec.json.decode(msgspec.json.encode(document))


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_a_server_that_asks_for_no_token_says_so() -> None:
    from asyncapi3.models import AsyncAPI3

    open_door = asyncapi.describe(auth="none")

    AsyncAPI3.model_validate(open_door)
    assert open_door["components"]["securitySchemes"] == {}
    assert [server["security"] for server in open_door["servers"].values()] == [[], []]


def test_every_frame_is_there_and_no_other() -> None:
    tags = {frame.__struct_config__.tag for frame in FRAMES}

    assert set(DOCUMENT["components"]["messages"]) == set(DOCUMENT["channels"]["live"]["messages"]) == tags
    assert {frame.__name__ for frame in FRAMES} <= set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("frame", FRAMES)
def test_every_field_is_there(frame: type[Any]) -> None:
    properties = DOCUMENT["components"]["schemas"][frame.__name__]["properties"]

    assert set(properties) == {"type", *frame.__struct_encode_fields__}


def test_every_frame_goes_one_way() -> None:
    by_action: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in DOCUMENT["operations"].values():
        by_action[operation["action"]] |= {each["$ref"].rpartition("/")[2] for each in operation["messages"]}
        answers = operation.get("reply", {"messages": ()})["messages"]
        by_action["send"] |= {each["$ref"].rpartition("/")[2] for each in answers}

    assert by_action["receive"] == {frame.__struct_config__.tag for frame in asyncapi.FROM_CLIENT}
    assert by_action["send"] == {frame.__struct_config__.tag for frame in asyncapi.FROM_SERVER}


@pytest.mark.parametrize("frame", asyncapi.FROM_CLIENT)
@pytest.mark.parametrize("codec", wire.CODECS.values(), ids=wire.CODECS)
def test_the_server_takes_every_example_of_a_client(codec: wire.Codec, frame: type[Any]) -> None:
    (example,) = DOCUMENT["components"]["messages"][frame.__struct_config__.tag]["examples"]
    encoded = msgspec.msgpack.encode(example["payload"]) if codec.binary else msgspec.json.encode(example["payload"])

    assert codec.decode_client(encoded) == EXAMPLES[frame]


@pytest.mark.parametrize("frame", asyncapi.FROM_SERVER)
def test_a_client_takes_every_example_of_the_server(frame: type[Any]) -> None:
    (example,) = DOCUMENT["components"]["messages"][frame.__struct_config__.tag]["examples"]

    assert wire.CODECS[wire.JSON].decode_server(msgspec.json.encode(example["payload"])) == EXAMPLES[frame]


def test_the_example_of_a_dialog_is_the_contracts() -> None:
    assert [json.loads(line) for line in DOCUMENT["channels"]["live"]["description"].splitlines() if "{" in line] == [
        {"type": "open", "customer_id": "c-42", "language": "EN"},
        {"type": "message", "seq": 1, "text": "Hi"},
        {"type": "consent", "granted": True, "last_seq": 1},
    ]


def test_both_subprotocols_are_there() -> None:
    offered = DOCUMENT["channels"]["live"]["x-subprotocols"]

    assert {each["name"]: each["frames"] for each in offered} == {wire.JSON: "text", wire.MSGPACK: "binary"}


def test_every_close_code_of_ours_is_there() -> None:
    constants = {value for name, value in vars(faults).items() if name.startswith("CLOSED_")}
    told = {fault.close for fault in faults.FAULTS.values() if fault.close is not None}

    assert constants | told <= {close["code"] for close in DOCUMENT["x-close-codes"]}


def test_a_code_below_4500_means_replay() -> None:
    ours = [close for close in DOCUMENT["x-close-codes"] if close["code"] >= 4000]

    assert [close["replay"] for close in ours] == [close["code"] < 4500 for close in ours]


def test_every_error_of_a_dialog_is_there_with_its_close_code() -> None:
    described = {error["code"]: error["close"] for error in DOCUMENT["x-errors"]}
    only_over_http = {
        "bad_request",
        "chores",
        "lost",
        "not_found",
        "not_acceptable",
        "not_open",
        "restored",
        "stale",
        "idempotency_key",
        "in_progress",
        "unsupported_media_type",
        "unsupported",
    }

    assert set(described) == {"frame"} | set(faults.FAULTS) - only_over_http
    assert all(described[code] == faults.FAULTS[code].close for code in set(described) - {"frame"})


def test_every_field_has_a_meaning() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, about in schema.get("properties", {}).items():
            told = [each.get("description") for each in (about, *about.get("anyOf", ()))]
            assert any(told), f"{name}.{field} is not explained: add it to documents/meanings.py"
