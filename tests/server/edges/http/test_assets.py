"""What pages are made of is sent small, is kept while it is the same, and is never mixed with another version."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from backports import zstd

from consentful_server.edges.http.assets import Assets
from consentful_server.settings import Settings
from consentful_server.testing import Served, serve
from kept import get

STATIC = Settings().static
KEPT = "public, max-age=31536000, immutable"
DECODERS = {"gzip": gzip.decompress, "zstd": zstd.decompress}


@pytest.fixture
async def plain(service: Served) -> Any:
    """A client that neither asks for a content coding nor undoes one."""
    async with ClientSession(service.url, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as http:
        yield http


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("path", ["/static/page.css", "/static/consentful.js", "/openapi.json", "/asyncapi.json", "/"])
async def test_what_compresses_is_sent_at_less_than_half_its_size(plain: ClientSession, path: str, coding: str) -> None:
    async with plain.get(path) as response:
        body = await response.read()
        assert "Content-Encoding" not in response.headers
        whole = response.headers["ETag"]

    async with plain.get(path, headers={"Accept-Encoding": coding}) as response:
        sent = await response.read()

    assert response.headers["Content-Encoding"] == coding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"] != whole
    assert DECODERS[coding](sent) == body
    assert len(sent) < len(body) / 2


async def test_what_would_not_get_smaller_is_sent_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("Hi")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG" + bytes(1000))
    async with serve(static_dir=tmp_path) as service, ClientSession(service.url) as http:
        for path, body in (("/", b"Hi"), ("/static/picture.png", b"\x89PNG" + bytes(1000))):
            async with http.get(path) as response:
                assert (await response.read(), response.headers.get("Content-Encoding")) == (body, None)


@pytest.mark.parametrize("path", ["/", "/explore", "/docs", "/docs/live", "/static/page.css", "/openapi.json"])
@pytest.mark.parametrize("coding", ["identity", "zstd"])
async def test_what_a_client_has_is_not_sent_again(plain: ClientSession, path: str, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    async with plain.get(path, headers=headers) as response:
        tag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"

    async with plain.get(path, headers=headers | {"If-None-Match": f'"other", W/{tag}'}) as response:
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == tag
    async with plain.get(path, headers=headers | {"If-None-Match": '"other"'}) as response:
        assert response.status == 200


async def test_a_page_names_files_that_may_be_kept_for_a_year(http: ClientSession) -> None:
    async with http.get("/explore") as response:
        files = set(re.findall(r'(?:href|src)="(static/[^"]+)"', await response.text()))
    assert len(files) > 10  # with those that its scripts import

    for path in files:
        assert re.fullmatch(r"static/[0-9a-f]{16}/[\w.]+", path)
        async with http.get(f"/{path}") as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, KEPT)


async def test_a_file_of_another_version_is_served_and_not_kept(http: ClientSession) -> None:
    """While nodes are replaced, a page of one may get its files from another."""
    async with http.get("/static/0123456789abcdef/page.css") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
    async with http.get("/static/0123456789abcdef/nothing.css") as response:
        assert response.status == 404


def test_every_file_changes_the_version(tmp_path: Path) -> None:
    files = {"a.js": "1", "b.css": "2"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    versions = [Assets(tmp_path).version]
    for name in files:
        (tmp_path / name).write_text("changed")
        versions.append(Assets(tmp_path).version)
    (tmp_path / "b.css").rename(tmp_path / "c.css")
    versions.append(Assets(tmp_path).version)

    assert len(set(versions)) == 4
    assert Assets(tmp_path).version == versions[-1]


def test_what_a_script_imports_is_preloaded_once(tmp_path: Path) -> None:
    (tmp_path / "p.html").write_text('<script type="module" src="../static/a.js"></script>')
    (tmp_path / "a.js").write_text('import { x,\n  y } from "./b.js";\nimport "./c.js";\nimport("./later.js");')
    (tmp_path / "b.js").write_text('export { z } from "./c.js";\n/** @param {import("./a.js").A} a */')
    (tmp_path / "c.js").write_text('import { a } from "./a.js";')
    (tmp_path / "later.js").write_text("")

    page = Assets(tmp_path).page("p.html")

    assert re.findall(r'<link rel="modulepreload" href="\.\./static/\w+/(\w+\.js)">', page) == ["b.js", "c.js"]


@pytest.mark.parametrize("page", ["explore.html", "ops.html", "privacy.html"])
def test_the_form_for_a_key_is_there_from_the_start_where_a_key_is_asked_for(page: str) -> None:
    assert " data-key hidden>" in Assets(STATIC).page(page)
    assert " data-key>" in Assets(STATIC, asks_for_key=True).page(page)


@pytest.mark.parametrize("page", sorted(page.name for page in STATIC.glob("*.html")))
def test_a_page_that_needs_scripts_says_so_without_them(page: str) -> None:
    text = (STATIC / page).read_text("utf-8")

    assert "<noscript>" in text or page in ("error.html", "withdraw.html")  # which work without


@pytest.mark.parametrize("page", sorted(STATIC.glob("*.html")), ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = Assets(STATIC).page(page.name)

    named = re.findall(r'(?:href|src)="(?:\.\./)*static/\w+/([^"]+)"', text)

    assert named
    assert [name for name in named if not (STATIC / name).is_file()] == []


async def test_the_version_is_that_of_the_start(tmp_path: Path) -> None:
    """A page and the code that answers it are of one installation."""
    (tmp_path / "index.html").write_text("as it was")
    async with serve(static_dir=tmp_path) as service, ClientSession(service.url) as http:
        (tmp_path / "index.html").write_text("from a newer installation")
        async with http.get("/") as response:
            assert await response.text() == "as it was"


async def test_documents_stay_json(http: ClientSession) -> None:
    assert (await get(http, "/openapi.json"))["openapi"].startswith("3.1")
