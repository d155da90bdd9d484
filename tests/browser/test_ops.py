"""The operations page, as an operator sees it: it moves by itself, and says when it cannot."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import pytest
from playwright.async_api import Locator, Page, expect

import consentful
from consentful_server import testing
from consentful_server.app import drain
from consentful_server.edges.routes import operations as routes
from consentful_server.errors import StorageFailed
from consentful_server.operations import overviews
from kept import keep
from ports import free_port

from .looks import CONTRAST, bytes_sent, fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

MARKER = "contraband4711"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for two seconds until something moves."""
    monkeypatch.setattr(overviews, "FRESH_S", 0)
    monkeypatch.setattr(routes, "_EVERY_S", 0.05)


async def ops(new_page: NewPage, service: testing.Served, **look: Any) -> Page:
    page = await new_page(service.url, **look)
    await page.goto(f"{service.url}/ops")
    return page


def verdict(page: Page) -> Locator:
    return page.locator("#verdict")


async def hold(service: testing.Served) -> None:
    """Hold a dialog, and grant it."""
    async with consentful.open_dialog(service.url, customer_id=MARKER, bot=MARKER) as dialog:
        await dialog.say(MARKER)
        await dialog.grant()


async def test_it_shows_the_service_and_goes_on_by_itself(new_page: NewPage) -> None:
    async with testing.serve() as service:
        page = await ops(new_page, service)
        await expect(verdict(page)).to_have_text("ready")
        await expect(page.locator("#parts li")).to_have_text(["serving ready", "chores ready", "store ready"])
        decisions = page.get_by_role("table", name="Decisions")
        await expect(decisions).to_contain_text("none")

        await hold(service)

        await expect(decisions.get_by_role("row")).to_have_text(["stored1"])
        await expect(page.locator("#plots svg")).to_have_count(6)
        await expect(page.locator("#plots .line")).to_have_count(12)
        await expect(page.get_by_role("img", name="Decisions a second")).to_be_visible()
        assert MARKER not in await page.content()


async def test_it_shows_what_is_not_ready(new_page: NewPage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails() -> None:
        raise StorageFailed

    async with testing.serve() as service:
        page = await ops(new_page, service)
        await expect(verdict(page)).to_have_text("ready")

        monkeypatch.setattr(service.service.store, "probe", fails)

        await expect(verdict(page)).to_have_text("not ready")
        await expect(page.locator("#parts .is-bad")).to_have_text("store storage")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_an_empty_service_looks_right(new_page: NewPage, width: int, scheme: Literal["light", "dark"]) -> None:
    async with testing.serve() as service:
        page = await ops(new_page, service, width=width, scheme=scheme)
        await expect(page.locator("#plots svg")).to_have_count(6)
        await page.get_by_text("Show them").click()
        await expect(page.locator("#settings")).to_contain_text("max_text_bytes")

        assert await fits(page)
        assert await page.evaluate(CONTRAST) == []
        assert await violations(page) == []


async def test_it_is_small(new_page: NewPage, service: testing.Served) -> None:
    page = await ops(new_page, service)
    await page.wait_for_selector("#parts li")

    assert await bytes_sent(page) < 60_000


async def test_a_stopped_server_is_told_and_found_again(new_page: NewPage) -> None:
    port = free_port()
    async with testing.serve(port=port) as service:
        page = await ops(new_page, service)
        await expect(verdict(page)).to_have_text("ready")
        await drain(service.service)
        await expect(verdict(page)).to_have_text("draining")
    await expect(page.locator("#failure")).to_contain_text("Not connected")
    await expect(page.locator("#parts li")).to_have_count(3)  # what was seen last

    async with testing.serve(port=port):
        await expect(verdict(page)).to_have_text("ready")
        await expect(page.locator("#failure")).to_be_hidden()


async def test_a_connection_that_falls_silent_is_told_and_replaced(
    new_page: NewPage, service: testing.Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "_EVERY_S", 3600)  # one event, and then nothing, over an open connection
    page = await new_page(service.url)
    await page.clock.install()
    await page.goto(f"{service.url}/ops")
    await expect(page.locator("#plots svg")).to_have_count(6)  # two moments are known: the event has come
    monkeypatch.setattr(routes, "_EVERY_S", 0.05)

    await page.clock.fast_forward(4000)

    await expect(verdict(page)).to_have_text("reconnecting …")
    await expect(page.locator("#failure")).to_have_text(
        "Not connected: the server has sent nothing for 4 s. What is below was seen last."
    )
    await page.clock.fast_forward(1000)
    await expect(verdict(page)).to_have_text("ready")
    await expect(page.locator("#failure")).to_be_hidden()


async def test_a_key_is_asked_for_and_one_that_ends_is_told(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        wrong, right = await service.create_key("data:read"), await service.create_key("operate")
        page = await ops(new_page, service)
        await expect(page.locator("#key")).to_be_focused()
        await expect(verdict(page)).to_have_text("unauthenticated")

        await page.locator("#key").fill(wrong)
        await page.get_by_role("button", name="Connect").click()
        await expect(page.locator("#failure")).to_contain_text("the scope operate")

        await page.locator("#key").fill(right)
        await page.get_by_role("button", name="Connect").click()
        await expect(verdict(page)).to_have_text("ready")
        assert right not in page.url

        await service.revoke_key(right)
        await expect(verdict(page)).to_have_text("unauthenticated")
        await expect(page.locator("#key")).to_be_focused()


async def test_it_works_without_a_mouse(new_page: NewPage, service: testing.Served) -> None:
    await keep(service.service, "d-keys")
    page = await ops(new_page, service)
    await page.wait_for_selector("#parts li")

    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the state of the service")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#state")).to_be_focused()
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    await page.keyboard.press("Enter")

    await expect(page.locator("#settings")).to_be_visible()
