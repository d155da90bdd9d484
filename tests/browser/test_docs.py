"""The pages of documentation, in a browser: complete, searchable, quiet, and nobody else is asked."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeAlias

import pytest
from playwright.async_api import Locator, Page, expect

from consentful_server import testing
from consentful_server.app import ROUTES
from consentful_server.documents import asyncapi
from kept import keep

from .looks import fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]
Scheme: TypeAlias = Literal["light", "dark"]

DOCUMENT = asyncapi.describe()
each_size = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
OPERATIONS: Final = "#reference section:not(#types) .operation"


async def visit(
    new_page: NewPage, service: testing.Served, path: str, width: int = 1280, scheme: str = "light"
) -> Page:
    page = await new_page(service.url, width, scheme)
    await page.goto(service.url + path)
    await expect(page.locator("[aria-busy]")).to_have_count(0)
    return page


@each_size
async def test_every_route_can_be_looked_up(
    new_page: NewPage, service: testing.Served, width: int, scheme: Scheme
) -> None:
    page = await visit(new_page, service, "/docs", width, scheme)

    await expect(page.locator(OPERATIONS)).to_have_count(len(ROUTES))
    await page.evaluate("document.querySelectorAll('.operation').forEach((box) => (box.open = true))")
    await expect(page.locator(f"{OPERATIONS} .responses")).to_have_count(len(ROUTES))
    assert await fits(page)
    assert await violations(page) == []


async def operation(page: Page, name: str) -> Locator:
    """Open an operation by its id."""
    box = page.locator(f"#{name}")
    if not await box.get_attribute("open"):
        await box.locator("summary").click()
    return box


async def test_a_route_can_be_tried_out(new_page: NewPage) -> None:
    async with testing.serve() as service:
        await keep(service.service, "d-1", ["Where is my parcel?"], language="en")
        page = await visit(new_page, service, "/docs")
        box = await operation(page, "data_messages")

        await box.get_by_label("language").fill("en")
        await box.get_by_label("limit").fill("1")
        await box.get_by_role("button", name="Send").click()

        await expect(box.locator(".status")).to_contain_text("200 OK")
        assert json.loads(await box.locator(".answer pre").inner_text())["items"][0]["text"] == "Where is my parcel?"
        await box.get_by_label("limit").fill("none")
        await box.get_by_role("button", name="Send").click()
        await expect(box.locator(".status")).to_contain_text("400")


@pytest.mark.parametrize("tool", ["curl", "Python"])
async def test_the_same_in_code_gets_the_same(new_page: NewPage, tool: str) -> None:
    async with testing.serve(auth="keys") as service:
        await keep(service.service, "d-1", ["It's here"], language="en")
        key = await service.create_key()
        page = await visit(new_page, service, "/docs")
        box = await operation(page, "data_search")
        await box.get_by_role("textbox", name="Body").fill(json.dumps({"q": "it's"}))

        await box.get_by_role("button", name=tool, exact=True).click()
        program = await box.locator(".tools + pre").inner_text()

        command = ["sh", "-c", program] if tool == "curl" else [sys.executable, "-c", program]
        process = await run(command, {"PATH": os.environ["PATH"], "CONSENTFUL_TOKEN": key})
        assert json.loads(process)["items"][0]["text"] == "It's here"


async def run(command: list[str], environment: dict[str, str]) -> str:
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, check=True, env=environment, timeout=30
    )
    return done.stdout.decode()


async def test_a_token_stays_on_the_page(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        page = await visit(new_page, service, "/docs")
        box = await operation(page, "data_messages")
        await box.get_by_role("button", name="Send").click()
        await expect(box.locator(".status")).to_contain_text("401")

        key = await service.create_key()
        await page.get_by_label("Token").fill(key)
        await box.get_by_role("button", name="Send").click()

        await expect(box.locator(".status")).to_contain_text("200")
        assert await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        assert key not in page.url
        assert key not in await page.locator("main").inner_text()


async def test_where_no_token_is_asked_for_the_page_offers_no_place_for_one(
    new_page: NewPage, service: testing.Served
) -> None:
    page = await visit(new_page, service, "/docs")

    await expect(page.locator(OPERATIONS)).to_have_count(len(ROUTES))
    await expect(page.get_by_label("Token")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "words", "found"), [("/docs", "erasures get", "/v1/erasures"), ("/docs/live", "idle_timeout_s", "Limits")]
)
async def test_what_is_searched_for_is_all_that_is_listed(
    new_page: NewPage, service: testing.Served, path: str, words: str, found: str
) -> None:
    page = await visit(new_page, service, path)

    await page.keyboard.press("/")
    await page.keyboard.type(words)

    await expect(page.locator("#found")).to_contain_text("found")
    links = page.locator("#contents li:visible")
    await expect(links.filter(has_text=found).first).to_be_visible()
    assert await links.count() < 8
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("#"))
    await page.get_by_label("Search").fill("")
    await expect(page.locator("#contents li:visible").nth(10)).to_be_visible()


async def test_an_address_leads_to_its_operation_and_its_type(new_page: NewPage, service: testing.Served) -> None:
    page = await visit(new_page, service, "/docs#exports_erasures")
    await expect(page.locator("#exports_erasures")).to_have_attribute("open", "")
    await expect(page.locator("#exports_erasures summary")).to_be_in_viewport()

    await page.locator("#exports_erasures").get_by_role("link", name="Erasures").click()

    await expect(page.locator("#Erasures .fields")).to_be_in_viewport()


@each_size
async def test_every_frame_error_and_close_code_can_be_looked_up(
    new_page: NewPage, service: testing.Served, width: int, scheme: Scheme
) -> None:
    page = await visit(new_page, service, "/docs/live", width, scheme)

    for name in DOCUMENT["components"]["messages"]:
        await expect(page.locator(f"article#{name} h3")).to_have_text(name)
    for error in DOCUMENT["x-errors"]:
        await expect(page.locator(f"#error-{error['code']}")).to_contain_text(error["remedy"].replace("`", ""))
    for close in DOCUMENT["x-close-codes"]:
        await expect(page.locator("#closes td:first-child", has_text=str(close["code"]))).to_be_visible()
    await expect(page.locator("#connection")).to_contain_text(f"{service.url}/v1/dialogs/live".replace("http", "ws"))
    assert await fits(page)
    assert await violations(page) == []


async def test_an_address_leads_to_its_frame(new_page: NewPage, service: testing.Served) -> None:
    page = await visit(new_page, service, "/docs/live#stored")

    await expect(page.locator("article#stored")).to_be_in_viewport()


@pytest.mark.parametrize(("path", "document"), [("/docs", "openapi.json"), ("/docs/live", "asyncapi.json")])
async def test_a_document_that_cannot_be_read_can_be_tried_again(
    new_page: NewPage, service: testing.Served, path: str, document: str
) -> None:
    page = await new_page(service.url)
    await page.route(f"**/{document}", lambda route: route.fulfill(status=404, body=""))
    await page.goto(service.url + path)
    await expect(page.get_by_role("alert")).to_contain_text("could not be read")

    await page.unroute(f"**/{document}")
    await page.get_by_role("button", name="Retry").click()

    await expect(page.locator("#reference section").first).to_be_visible()
