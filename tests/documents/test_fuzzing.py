"""Schemathesis asks the real service everything that its own document says can be asked, and much that it does not."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from consentful_server.testing import Served, serve

HERE = Path(__file__).parent
LEFT_OUT = "^(/v1/dialogs/live|/(open|async)api.json)$"
"""A WebSocket; and the documents themselves, whose names of channels Schemathesis would take for ids of dialogs."""

PHASES = "examples,coverage,fuzzing,stateful"

THE_SAME = ("--generation-deterministic", "--seed", "1")
"""The short form asks the same at each run: what chance finds is for `make prove`, not for an unrelated change."""


async def strict(service: Served) -> bytes:
    """Return the document without the defaults, which would excuse every status that an operation does not name."""
    async with ClientSession(service.url) as http, http.get("/openapi.json") as response:
        document: dict[str, Any] = await response.json()
    for operations in document["paths"].values():
        for operation in operations.values():
            del operation["responses"]["default"]
    return msgspec.json.encode(document)


async def fuzz(service: Served, folder: Path, seconds: int, *options: str) -> str:
    """Return what Schemathesis said; it must not have found anything. All checks are on, one of them in our form."""
    document = folder / "openapi.json"
    document.write_bytes(await strict(service))
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml"),
        *("run", document, "--url", service.url),
        *("--phases", PHASES, "--exclude-path-regex", LEFT_OUT, "--exclude-checks", "positive_data_acceptance"),
        *("--max-time", str(seconds), "--no-color", *options),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "fuzzing", "PYTHONPATH": str(HERE)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    text = said.decode()
    assert process.returncode == 0, text
    return text


def asked(said: str) -> int:
    """Return how many test cases there were."""
    found = re.search(r"(\d+) generated", said)
    assert found, said
    return int(found[1])


async def test_with_every_scope_the_service_does_what_its_document_says(tmp_path: Path) -> None:
    async with serve(auth="keys") as service:
        key = await service.create_key()

        said = await fuzz(service, tmp_path, 12, "-n", "10", *THE_SAME, "-H", f"Authorization: Bearer {key}")

    assert asked(said) > 50  # a busy machine asks less in its time


async def test_without_a_token_the_service_does_what_its_document_says(tmp_path: Path) -> None:
    async with serve(auth="keys") as service:
        said = await fuzz(service, tmp_path, 20, "-n", "5", *THE_SAME)

    assert asked(said) > 50


@pytest.mark.prove
@pytest.mark.parametrize("auth", ["none", "keys"])
async def test_the_service_does_what_its_document_says_however_long_it_is_asked(tmp_path: Path, auth: str) -> None:
    async with serve(auth=auth) as service:
        key = await service.create_key()

        said = await fuzz(service, tmp_path, 240, "-n", "200", "-H", f"Authorization: Bearer {key}")

    assert asked(said) > 5_000
