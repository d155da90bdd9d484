"""What is used of aiohttp's inside, by name: a release that changes one of these fails here, and says which."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.web_protocol import RequestHandler

ROOT = Path(__file__).parent.parent.parent.parent
EDGES = ROOT / "server" / "consentful_server" / "edges"

CLASSES: dict[type[Any], tuple[str, ...]] = {
    RequestHandler: (
        "_loop",
        "_manager",
        "_message_tail",
        "_pause_transport_reading",
        "_payload_parser",
        "_request_count",
        "_resume_transport_reading",
        "_upgraded",
        "_waiter",
    ),
    web.AppRunner: ("_make_server",),
    web.BaseSite: ("_backlog", "_runner", "_server", "_ssl_context"),
    StreamWriter: ("chunked",),
    web.StreamResponse: ("_payload_writer",),
}
INSTANCES = {web.Server: ("_connections", "_kwargs", "_loop")}


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in CLASSES.items() for name in names])
def test_a_class_of_aiohttp_still_has(owner: type[Any], name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize("name", INSTANCES[web.Server])
async def test_a_server_of_aiohttp_still_has(name: str) -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    assert hasattr(web.Server(handler), name)


def test_a_server_of_aiohttp_still_takes_another_class() -> None:
    class Other(web.Server):
        pass

    server: Any = object.__new__(web.Server)
    server.__class__ = Other

    assert isinstance(server, Other)


def test_the_server_extra_keeps_to_one_minor_version_of_aiohttp() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (pinned,) = [dependency for dependency in extras["server"] if re.match(r"aiohttp\b", dependency)]
    major, minor, *_ = version("aiohttp").split(".")

    assert re.fullmatch(rf"aiohttp>={major}\.{minor}(\.\d+)?,<{major}\.{int(minor) + 1}", pinned)


def test_nothing_else_touches_the_inside() -> None:
    """A `pyright: ignore[reportPrivateUsage]` elsewhere in the edges would be such a place."""
    elsewhere = [path for folder in ("http", "routes") for path in (EDGES / folder).glob("*.py")]

    assert [path.name for path in elsewhere if "reportPrivateUsage" in path.read_text("utf-8")] == []
