"""Every page on a slow line, 1.6 Mbit/s and 150 ms: something to read in a second, everything to use in three."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from consentful_server import testing
from kept import keep

from .looks import SLOW, bytes_sent, emulate, first_paint_ms

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

FIRST_PAINT_MS: Final = 1000
USABLE_MS: Final = 3000
VISITS: Final = 3


class Place(NamedTuple):
    """A page: what is there once it can be used, and the most bytes that this may take, with the data that it shows."""

    usable: str
    most_bytes: int


PLACES: Final = {
    "/": Place("#samples button", 40_000),
    "/explore": Place("#rows tr[data-index]", 110_000),
    "/privacy": Place("#requests:not([data-state=loading])", 60_000),
    "/ops": Place("#parts li", 60_000),
    "/docs": Place("#reference section", 60_000),
    "/docs/live": Place("#reference article", 40_000),
    "/withdraw": Place("#code", 10_000),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    """A service that keeps 1,200 messages."""
    async with testing.serve() as served:
        for number in range(100):
            await keep(served.service, f"d-{number}", ["Where is my parcel?", "It arrives tomorrow."] * 6)
        yield served


class Visit(NamedTuple):
    """How long a new visitor waited, in milliseconds, and for how many bytes."""

    painted: float
    usable: float
    size: int

    def is_soon(self) -> bool:
        return self.painted < FIRST_PAINT_MS and self.usable < USABLE_MS


async def visit(new_page: NewPage, url: str, path: str, usable: str) -> Visit:
    page = await new_page(url)
    await page.goto("about:blank")
    await emulate(page, SLOW)
    await page.goto(url + path, wait_until="commit")
    await page.wait_for_selector(usable, state="attached")
    waited = await page.evaluate("performance.now()")
    return Visit(await first_paint_ms(page), waited, await bytes_sent(page))


@pytest.mark.parametrize(("path", "place"), PLACES.items(), ids=PLACES)
async def test_a_page_is_soon_there(new_page: NewPage, filled: testing.Served, path: str, place: Place) -> None:
    found = await visit(new_page, filled.url, path, place.usable)
    for _ in range(VISITS - 1):  # a busy machine makes any page late, and none early
        if not found.is_soon():
            found = await visit(new_page, filled.url, path, place.usable)

    assert found.painted < FIRST_PAINT_MS
    assert found.usable < USABLE_MS
    assert found.size < place.most_bytes


async def test_the_plots_are_soon_there(new_page: NewPage, filled: testing.Served) -> None:
    page = await new_page(filled.url)
    await page.goto("about:blank")
    await emulate(page, SLOW)

    await page.goto(f"{filled.url}/explore", wait_until="commit")
    await page.locator("#plots").scroll_into_view_if_needed()
    await expect(page.locator("figure .bar").last).to_be_visible()
    usable = await page.evaluate("performance.now()")
    assert usable < USABLE_MS
