"""No page moves what a user is about to press while it loads: what comes later has its room from the first paint on.

Scripts and answers are held back and let through one by one. Meanwhile every control has to stay where it was first
seen, also below the fold, and the cumulative layout shift of Web Vitals (0.1 is called good) has to stay near 0.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from consentful_server import testing
from consentful_server.access_log.chain import Actor
from consentful_server.auth.read_scope import EVERYTHING, ReadScope
from kept import keep

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

OBSERVE: Final = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, sources } of list.getEntries()) {
    window.shifts.push({ value, what: sources.map(({ node }) => node?.id || node?.nodeName) });
  }
}).observe({ type: "layout-shift", buffered: true });
window.seen = new Map();
const look = () => {
  for (const control of document.querySelectorAll("button, input, select, textarea, summary")) {
    if (!control.checkVisibility({ visibilityProperty: true })) continue;
    const { x, y } = control.getBoundingClientRect();
    const at = [Math.round(x + scrollX), Math.round(y + scrollY)];
    if (!window.seen.has(control)) window.seen.set(control, []);
    const before = window.seen.get(control);
    if (`${before.at(-1)}` !== `${at}`) before.push(at);
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Notes each shift, and each place where a control was."""
MOVED: Final = """[...window.seen].filter(([, places]) => places.length > 1)
  .map(([control, places]) => `${control.id || control.textContent.slice(0, 30)}: ${places.join(" -> ")}`)"""
FRAMES: Final = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

LATE: Final = re.compile(r"\.js$|/v1/|/(openapi|asyncapi)\.json$")
MOST: Final = 0.005
"""Text beside a number that gets longer moves a little."""

PAGES: Final = {
    "/": "#samples button",
    "/explore": "#recipes pre",
    "/explore?view=dialogs&show=d-2&seq=1": "#recipes pre",
    "/privacy": "#alarms:not([data-state=loading])",
    "/ops": "#chores td",
    "/docs": "#reference section",
    "/docs/live": "#reference article",
    "/withdraw": "#code",
}
"""What is there in the end."""


async def fill(served: testing.Served) -> None:
    """Store dialogs, read some, erase one, and record requests, of which some are late and some due soon."""
    service = served.service
    for number in range(60):
        await keep(service, f"d-{number}", ["Hi", "Hello"], customer_id=f"c-{number % 3}", bot=f"bot-{number % 12}")
    for number in range(5):
        await service.pages.dialog(f"d-{number}", ReadScope(by=Actor("science")))
    await service.archive.erase("d-1", "requested")
    for number in range(120):
        at = service.clock.now() - timedelta(days=number % 40)
        await service.register.receive(
            "access", by=Actor("officer"), scope=EVERYTHING, reference=f"2026/{number}", at=at
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["empty", "full"])
async def served(request: pytest.FixtureRequest) -> AsyncGenerator[testing.Served]:
    async with testing.serve() as running:
        if request.param == "full":
            await fill(running)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keyed() -> AsyncGenerator[testing.Served]:
    """A service that asks for a key."""
    async with testing.serve(auth="keys") as running:
        await fill(running)
        yield running


async def load_slowly(page: Page, url: str, there: str) -> None:
    """Load the page; let through whatever it waits for, one after the other, each once it has shown the last."""
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.add_init_script(OBSERVE)
    await page.route(LATE, held.put)
    await page.goto(url, wait_until="commit")
    await expect(page.locator("main")).to_be_visible()
    await page.evaluate(FRAMES)  # now it was painted as it came
    shown = asyncio.create_task(page.locator(there).first.wait_for(state="attached"))

    async def let_through() -> None:
        while True:
            route = await held.get()
            await route.continue_()
            await page.evaluate(FRAMES)

    letting = asyncio.create_task(let_through())
    await shown
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    await page.evaluate(FRAMES)
    letting.cancel()


async def expect_nothing_moved(page: Page) -> None:
    shifts: list[dict[str, object]] = await page.evaluate("window.shifts")
    assert await page.evaluate(MOVED) == []
    assert sum(float(str(shift["value"])) for shift in shifts) <= MOST, shifts


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("path", "there"), PAGES.items(), ids=PAGES)
async def test_nothing_moves_while_a_page_loads(
    new_page: NewPage, served: testing.Served, path: str, there: str, width: int
) -> None:
    page = await new_page(served.url, width)

    await load_slowly(page, served.url + path, there)

    await expect_nothing_moved(page)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without"])
@pytest.mark.parametrize("path", ["/explore", "/privacy", "/ops"])
async def test_the_form_for_a_key_moves_nothing(
    new_page: NewPage, keyed: testing.Served, path: str, with_key: bool, width: int
) -> None:
    page = await new_page(keyed.url, width)
    there = PAGES[path]
    if with_key:
        key = await keyed.create_key()
        await page.evaluate("(key) => sessionStorage.setItem('consentful key', key)", key)
    elif path == "/ops":
        there = "#state[data-state=error]"

    await load_slowly(page, keyed.url + path, there)

    await expect(page.locator("#key")).to_be_visible()
    await expect_nothing_moved(page)


async def test_an_opened_dialog_and_its_annotation_move_nothing_below(new_page: NewPage, keyed: testing.Served) -> None:
    page = await new_page(keyed.url)
    key = await keyed.create_key()
    await page.evaluate("(key) => sessionStorage.setItem('consentful key', key)", key)
    await page.goto(f"{keyed.url}/explore")
    await page.locator("#recipes pre").first.wait_for()
    below = await page.locator("#export").evaluate("(it) => it.offsetTop")

    await page.locator("#rows a").first.click()
    await expect(page.locator("#dialog[data-state=full]")).to_be_visible()
    await page.locator("#annotate summary").click()

    await expect(page.locator("#note")).to_be_visible()
    assert await page.locator("#export").evaluate("(it) => it.offsetTop") == below
