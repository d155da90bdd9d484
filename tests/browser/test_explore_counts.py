"""What the explorer counts: the rows of a list that is not loaded whole; and what it shows where a count is missing."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from consentful.wire import Message
from consentful_server import testing
from kept import keep

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

DIALOGS: Final = 3
LENGTH: Final = 230
LONG: Final = [Message(seq, "Hi", role="customer" if seq > 10 else "bot") for seq in range(1, LENGTH + 1)]
ALL: Final = DIALOGS * LENGTH


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    """A service with more messages than a page of the list has, and an English dialog of one message."""
    async with testing.serve() as served:
        for number in range(DIALOGS):
            await keep(served.service, f"d-{number}", LONG, language="de", bot="shop", metadata={"shop": "Graz"})
        await keep(served.service, "d-short", language="en")
        yield served


async def explore(new_page: NewPage, served: testing.Served, address: str = "") -> Page:
    page = await new_page(served.url)
    await page.goto(f"{served.url}/explore{address}")
    return page


TODAY: Final = "since=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00Z"
TOTALS: Final = {
    "": f"200 of {ALL + 1}",
    "?language=de": f"200 of {ALL}",
    "?language=DE&bot=shop&purpose=improve-chatbot": f"200 of {ALL}",
    "?role=customer": f"200 of {ALL - 10 * DIALOGS + 1}",
    "?role=customer&language=de": f"200 of {ALL - 10 * DIALOGS}",
    f"?{TODAY}": f"200 of about {ALL + 1}",
    "?since=2020-01-01T10:30:00Z": "200 loaded, more below",
    "?order=stored": f"200 of {ALL + 1}",
    "?language=en": "1 message",
}


@pytest.mark.parametrize(("address", "told"), TOTALS.items(), ids=TOTALS)
async def test_the_list_tells_of_how_many_rows_it_has_loaded_some(
    new_page: NewPage, filled: testing.Served, address: str, told: str
) -> None:
    page = await explore(new_page, filled, address)
    await expect(page.locator("#totals")).to_contain_text("message")  # the counters have answered

    await expect(page.locator("#count")).to_have_text(told)


async def test_no_counter_knows_of_texts_and_metadata(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await page.get_by_label("Search text").fill("hi")
    await page.get_by_role("button", name="Apply").click()

    await expect(page.locator("#totals")).to_contain_text("of ")
    await expect(page.locator("#count")).to_have_text("200 loaded, more below")


async def test_the_rest_is_loaded_until_all_are_there(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?language=de")
    await expect(page.locator("#count")).to_have_text(f"200 of {ALL}")

    await page.locator("#pane").evaluate("pane => { pane.scrollTop = pane.scrollHeight }")

    await expect(page.locator("#count")).to_have_text(f"400 of {ALL}")
    await page.locator("#pane").evaluate("pane => { pane.scrollTop = pane.scrollHeight }")
    await expect(page.locator("#count")).to_have_text(f"600 of {ALL}")
    await page.locator("#pane").evaluate("pane => { pane.scrollTop = pane.scrollHeight }")
    await expect(page.locator("#count")).to_have_text(f"{ALL} messages")


async def test_a_list_of_dialogs_has_a_total_too_but_not_by_what_messages_have(new_page: NewPage) -> None:
    async with testing.serve() as service:
        for number in range(201):
            await keep(service.service, f"d-{number}", language="de", bot="shop")
        page = await explore(new_page, service, "?view=dialogs&bot=shop")
        await expect(page.locator("#count")).to_have_text("200 of 201")

        await page.goto(f"{service.url}/explore?view=dialogs&language=de")

        await expect(page.locator("#totals")).to_contain_text("dialogs")
        await expect(page.locator("#count")).to_have_text("200 loaded, more below")


async def no_answer(route: Route) -> None:
    await route.fulfill(status=429, json={"detail": "too many requests; try again", "code": "rate"})


def failures(page: Page, inside: str) -> Locator:
    return page.locator(f"{inside} .failure")


async def test_a_facet_that_failed_is_asked_for_again_alone(new_page: NewPage, filled: testing.Served) -> None:
    page = await new_page(filled.url)
    await page.route(re.compile("by=bot"), no_answer)
    await page.goto(f"{filled.url}/explore")
    facets = page.locator("#facets")
    await expect(failures(page, "#facets")).to_have_text("too many requests; try again (rate)")
    await expect(facets.get_by_role("list", name="Language").locator("li")).to_have_count(2)
    await expect(page.locator("#recipes pre")).to_have_count(3)
    await expect(page.locator("#purposes-known option")).to_have_count(1)  # nothing else is asked for now
    await page.unroute(re.compile("by=bot"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/v1/")[2]))

    await facets.get_by_role("button", name="Retry: Chatbot").click()

    await expect(facets.get_by_role("list", name="Chatbot").locator("li")).to_have_text([f"shop{ALL}"])
    await expect(failures(page, "#facets")).to_have_count(0)
    assert asked == ["stats?by=bot"]


async def test_a_plot_that_failed_is_asked_for_again_alone(new_page: NewPage, filled: testing.Served) -> None:
    page = await new_page(filled.url)
    await page.route(re.compile("stats/outcomes"), no_answer)
    await page.goto(f"{filled.url}/explore")
    await page.locator("#plots").scroll_into_view_if_needed()
    await expect(failures(page, "#figures")).to_have_text("too many requests; try again (rate)")
    await expect(page.locator("figure svg")).to_have_count(3)
    await expect(page.locator("#recipes pre")).to_have_count(3)
    await expect(page.locator("#purposes-known option")).to_have_count(1)  # nothing else is asked for now
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/v1/")[2]))

    await page.get_by_role("button", name="Retry: Outcomes and consent rate").click()
    await expect(failures(page, "#figures")).to_have_count(1)  # it failed once more
    await page.unroute(re.compile("stats/outcomes"))
    await page.get_by_role("button", name="Retry: Outcomes and consent rate").click()

    await expect(page.locator("figure")).to_have_count(4)
    await expect(page.locator("figure").last).to_contain_text("No data")
    await expect(failures(page, "#figures")).to_have_count(0)
    assert asked == ["stats/outcomes?"] * 2


async def test_one_that_is_slow_holds_up_no_other(new_page: NewPage, filled: testing.Served) -> None:
    page = await new_page(filled.url)
    await page.clock.install()
    await page.route(re.compile("by=(day|role)"), lambda route: None)  # it is never answered
    await page.goto(f"{filled.url}/explore")
    await page.locator("#plots").scroll_into_view_if_needed()
    facets, plot = page.locator("#facets"), page.locator("figure").first
    await expect(facets.get_by_role("list", name="Language").locator("li")).to_have_count(2)
    await expect(plot).to_contain_text("Loading …")
    await expect(page.locator("figure svg")).to_have_count(2)
    await expect(page.locator("#count")).to_have_text("200 loaded, more below")

    await page.clock.run_for(31_000)

    for at in (plot, facets):
        await expect(at.locator(".failure").first).to_have_text("no response within 30 s; try again (timeout)")
    await page.unroute(re.compile("by=(day|role)"))
    for name in ("Dialogs per day", "Day (UTC)", "Role"):
        await page.get_by_role("button", name=f"Retry: {name}").click()
    await expect(plot.locator("svg")).to_be_visible()
    await expect(page.locator("[aria-busy=true], .failure")).to_have_count(0)


async def test_a_key_that_is_refused_is_no_reason_to_try_again(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        page = await explore(new_page, service)

        await expect(failures(page, "#facets")).to_have_count(5)

        await expect(page.locator("#facets button")).to_have_count(0)
