"""The pages of documentation, in a browser: complete, quiet, and nobody else is asked."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import pytest
from playwright.async_api import Page, expect

from consentful_server import testing
from consentful_server.app import ROUTES
from consentful_server.documents import asyncapi

from .looks import fits

NewPage: TypeAlias = Callable[..., Awaitable[Page]]
Scheme: TypeAlias = Literal["light", "dark"]

DOCUMENT = asyncapi.describe()
each_size = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])


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

    await expect(page.locator(".opblock")).to_have_count(len(ROUTES))
    await expect(page.get_by_text("Look up every REST route")).to_be_visible()
    await expect(page.locator(".errors")).to_have_count(0)  # what Swagger UI could not read
    assert await fits(page)


async def test_a_route_can_be_tried_out(new_page: NewPage, service: testing.Served) -> None:
    page = await visit(new_page, service, "/docs")
    route = page.locator("#operations-Pages_and_operations-pages_healthz")

    await route.get_by_role("button").first.click()
    await route.get_by_role("button", name="Try it out").click()
    await route.get_by_role("button", name="Execute").click()

    await expect(route.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await expect(route.locator(".live-responses-table")).to_contain_text('"status": "ok"')


async def test_a_token_stays_on_the_page(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        page = await visit(new_page, service, "/docs")

        await page.get_by_role("button", name="Authorize").first.click()
        await page.get_by_label("bearer-value").fill("cfl_secret")
        await page.get_by_role("button", name="Apply credentials").click()

        assert await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        assert "cfl_secret" not in page.url


async def test_where_no_token_is_asked_for_the_page_offers_no_place_for_one(
    new_page: NewPage, service: testing.Served
) -> None:
    page = await visit(new_page, service, "/docs")

    await expect(page.locator(".opblock")).to_have_count(len(ROUTES))
    await expect(page.get_by_role("button", name="Authorize")).to_have_count(0)


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
    assert await fits(page)


async def test_an_address_leads_to_its_frame(new_page: NewPage, service: testing.Served) -> None:
    page = await visit(new_page, service, "/docs/live#stored")

    await expect(page.locator("article#stored")).to_be_in_viewport()


async def test_a_document_that_cannot_be_read_can_be_tried_again(new_page: NewPage, service: testing.Served) -> None:
    page = await new_page(service.url)
    await page.route("**/asyncapi.json", lambda route: route.fulfill(status=404, body=""))
    await page.goto(f"{service.url}/docs/live")
    await expect(page.get_by_role("alert")).to_contain_text("could not be read")

    await page.unroute("**/asyncapi.json")
    await page.get_by_role("button", name="Retry").click()

    await expect(page.locator("article#open")).to_be_visible()
