"""One Chromium and one real service for the session; for each test pages of its own, which must not complain."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from consentful_server import testing
from needs import need

ARGS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
FAKE_SOCKET = Path(__file__).parent / "fake_socket.js"
REFUSED = re.compile(
    r"status of 4\d\d|HTTP Authentication failed"
    r"|net::ERR_(?:CONNECTION_(?:REFUSED|RESET|CLOSED)|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)"
)
"""What Chromium logs for every 4xx that a page is answered, and of a server that ended before its page did: to ask for
what is gone is no mistake of the page's."""

PATIENCE_MS = 20_000
"""How long a test waits for what the page shall show; the cores may be busy with other tests."""

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser outlives a test, so its tests share the session's event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=need("chromium"), args=ARGS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service() -> AsyncGenerator[testing.Served]:
    """One for all tests that need no settings of their own: every dialog has its own id."""
    async with testing.serve() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser) -> AsyncGenerator[NewPage]:
    """Makes pages, each in a context of its own; the test fails if one logs an error or asks a third party."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    async def make(url: str, width: int = 1280, scheme: Literal["light", "dark"] = "light") -> Page:
        context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        await context.add_init_script(path=FAKE_SOCKET)
        page = await context.new_page()

        def heed_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not REFUSED.search(message.text):
                complaints.append(f"console {message.type}: {message.text}")

        def heed_request(request: Request) -> None:
            if not request.url.startswith((url, "data:")):
                complaints.append(f"a request to {request.url}")

        page.on("console", heed_console)
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error.message}"))
        page.on("request", heed_request)
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(url)
        return page

    yield make
    for context in contexts:
        await context.close()
    assert not complaints


@pytest_asyncio.fixture(loop_scope="session")
async def page(service: testing.Served, new_page: NewPage) -> Page:
    """The test page, fresh."""
    return await new_page(service.url)
