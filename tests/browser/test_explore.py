"""The explorer, driven as a data scientist drives it, against the real service."""

# pyarrow tells no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false

import asyncio
import codecs
import io
import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

import consentful
from consentful_server import testing
from kept import keep

from .looks import CONTRAST, fits

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
MANY = 3000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    """A service that keeps three dialogs, of which one is an attack."""
    async with testing.serve() as served:
        await keep(served.service, "d-english", ["Where is my parcel?", "It's there."], language="en-GB", bot="shop")
        await keep(served.service, "d-attack", [ATTACK], language="de", customer_id=ATTACK, metadata={ATTACK: ATTACK})
        await keep(served.service, "d-arabic", ["أين طردي؟"], language="ar", customer_id="c-2")
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def page(filled: testing.Served, new_page: NewPage) -> Page:
    return await explore(new_page, filled)


async def explore(new_page: NewPage, service: testing.Served, address: str = "", **look: Any) -> Page:
    page = await new_page(service.url, **look)
    await page.goto(f"{service.url}/explore{address}")
    return page


def rows(page: Page) -> Locator:
    return page.locator("#rows tr[data-index]")


async def read(page: Page, state: str = "full") -> None:
    """Wait until the messages are there."""
    await expect(page.locator("#messages")).to_have_attribute("data-state", state)


async def test_messages_are_listed_and_a_dialog_is_shown_whole(page: Page, filled: testing.Served) -> None:
    await expect(page.locator("#count")).to_have_text("4 messages")
    await expect(rows(page)).to_have_count(4)

    await rows(page).filter(has_text="Where is my parcel?").click()

    dialog = page.locator("#dialog")
    await expect(dialog).to_have_attribute("data-state", "full")
    await expect(dialog.locator(".words")).to_have_text(["Where is my parcel?", "It's there."])
    await expect(dialog).to_contain_text("improve-chatbot")
    await expect(dialog).to_contain_text("agreed to by the customer")
    await expect(dialog.locator("#receipt .chip")).to_have_text("signature valid")
    assert page.url == f"{filled.url}/explore?show=d-english&seq=1"


async def test_markup_is_shown_as_text_everywhere(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?show=d-attack")
    title = await page.title()

    await expect(page.locator("#dialog .words")).to_have_text(ATTACK)
    await expect(page.locator("#dialog dd").filter(has_text="onerror")).to_have_count(2)
    await expect(rows(page).filter(has_text="onerror")).to_have_count(1)
    await expect(page.locator("main img, main script")).to_have_count(0)
    assert await page.title() == title == "Explore · Consentful"


async def test_filters_are_in_the_address_and_words_are_not(page: Page, filled: testing.Served) -> None:
    await page.get_by_role("combobox", name="Language").fill("EN")
    await page.get_by_label("Received since").fill("2020-01-01T00:00")
    await page.get_by_label("Search text").fill("PARCEL")
    await page.get_by_role("button", name="Apply").click()

    await expect(page.locator("#count")).to_have_text("1 message")
    await expect(rows(page)).to_contain_text("Where is my parcel?")
    assert re.fullmatch(re.escape(f"{filled.url}/explore?language=EN&since=20") + r"[\dTZ%A-]+", page.url)
    await page.reload()
    await expect(page.locator("#count")).to_have_text("1 message")
    await expect(page.get_by_label("Search text")).to_have_value("PARCEL")
    await expect(page.get_by_role("combobox", name="Language")).to_have_value("EN")
    await expect(page.get_by_label("Received since")).to_have_value("2020-01-01T00:00")


async def test_one_goes_back_to_what_was_shown_before(page: Page, filled: testing.Served) -> None:
    await rows(page).filter(has_text="أين").click()
    await expect(page.locator("#dialog .words")).to_have_css("direction", "rtl")
    await page.locator("#dialog a").first.click()
    await expect(page.locator("#count")).to_have_text("1 message")
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "full")

    await page.go_back()
    await expect(page.locator("#count")).to_have_text("4 messages")
    await page.go_back()
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "empty")


async def test_a_filter_that_is_refused_is_named(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?customer=alice")

    await read(page, "error")

    await expect(page.get_by_role("alert")).to_contain_text("customer")
    field = page.get_by_role("textbox", name="Customer")
    await expect(field).to_be_focused()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(f"#{await field.get_attribute('aria-describedby')}")).to_contain_text("customer")
    await page.get_by_role("button", name="Clear all filters").click()
    await expect(page.locator("#count")).to_have_text("4 messages")


async def test_an_erased_dialog_is_told_kindly(new_page: NewPage) -> None:
    async with testing.serve() as service:
        await keep(service.service, "d-1", ["Forget me"])
        page = await explore(new_page, service)
        await expect(rows(page)).to_have_count(1)
        await service.service.archive.erase("d-1", "requested")

        await rows(page).click()

        await expect(page.locator("#dialog")).to_have_attribute("data-state", "gone")
        await expect(page.locator("#dialog")).to_contain_text("This dialog was erased.")
        await page.goto(f"{service.url}/explore?show=d-2")
        await expect(page.locator("#dialog")).to_contain_text("Dialog not found, or not accessible with your key.")
        await expect(page.locator("#messages")).to_contain_text("No dialog is stored yet.")


async def test_nothing_that_fits_and_no_answer_are_told(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?language=fr")
    await expect(page.locator("#end")).to_contain_text("No message matches.")
    await page.route(
        "**/v1/messages**", lambda route: route.fulfill(status=418, json={"detail": "a teapot", "code": "tea"})
    )
    await page.get_by_role("link", name="clear all filters").click()
    await expect(page.get_by_role("alert")).to_have_text("a teapot (tea)")

    await page.unroute("**/v1/messages**")
    await page.get_by_role("button", name="Retry").click()

    await expect(rows(page)).to_have_count(4)


async def test_thousands_of_rows_are_read_as_they_are_scrolled_to(new_page: NewPage) -> None:
    async with testing.serve() as service:
        for number in range(3):
            await keep(service.service, f"d-{number}", [f"{number}/{i}" for i in range(MANY // 3)])
        page = await explore(new_page, service)
        await read(page)
        seen: set[str] = set()
        pane = page.locator("#pane")

        while await page.locator("#count").inner_text() != "3,000 messages":
            await pane.evaluate("pane => { pane.scrollTop = pane.scrollHeight }")
            await page.evaluate("new Promise(requestAnimationFrame)")
            seen |= set(await rows(page).locator(".text").all_inner_texts())
            assert await rows(page).count() < 80

        await pane.evaluate("pane => { pane.scrollTop = pane.scrollHeight }")
        await expect(rows(page).last).to_contain_text("0/0")
        indices: list[str] = await rows(page).evaluate_all("rows => rows.map((row) => row.ariaRowIndex)")
        assert indices == [str(MANY + 2 - len(indices) + i) for i in range(len(indices))]
        await pane.evaluate("pane => { pane.scrollTop = 0 }")
        await expect(rows(page).first).to_contain_text("2/999")
        assert len(seen) > 100


async def test_the_whole_way_works_with_the_keyboard_alone(page: Page) -> None:
    await expect(rows(page)).to_have_count(4)
    await expect(page.locator('#facets [aria-busy="false"]')).to_have_count(5)  # none comes between
    await page.locator("#facets a").last.focus()
    await page.keyboard.press("Tab")
    link = "document.activeElement.closest('tr')?.dataset.index"
    assert await page.evaluate(link) == "0"
    await page.keyboard.press("ArrowDown")
    assert await page.evaluate(link) == "1"
    await page.keyboard.press("End")
    assert await page.evaluate(link) == "3"
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    await page.keyboard.press("Enter")

    await expect(page.locator("#dialog .words").first).to_have_text("Where is my parcel?")
    assert await page.evaluate(link) == "3"


async def test_a_key_stays_in_the_tab(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        await keep(service.service, "d-1", ["Hello"])
        key = await service.create_key("data:read")
        page = await explore(new_page, service)
        await expect(page.get_by_role("alert")).to_contain_text("(unauthenticated)")
        await expect(page.get_by_label("API key")).to_be_focused()

        await page.get_by_label("API key").fill(key)
        await page.keyboard.press("Enter")

        await expect(rows(page)).to_have_count(1)
        assert key not in page.url
        assert key not in await page.content()
        await page.reload()
        await expect(rows(page)).to_have_count(1)
        assert await page.evaluate("localStorage.length + document.cookie.length") == 0
        await page.get_by_role("button", name="Remove the key").click()
        await expect(page.get_by_role("alert")).to_contain_text("(unauthenticated)")
        await expect(page.locator("#dialog")).not_to_contain_text("Hello")


def messages_in(data: bytes, name: str) -> int:
    """Return how many messages a file holds."""
    match name:
        case "NDJSON":
            return len(data.splitlines())
        case "CSV":
            assert data.startswith(codecs.BOM_UTF8)  # or Excel reads umlauts wrong
            return len(data.splitlines()) - 1
        case "Arrow":
            return pa.ipc.open_stream(data).read_all().num_rows
        case "Parquet":
            return pq.read_table(io.BytesIO(data)).num_rows
        case "Chats, NDJSON":
            return sum(len(json.loads(line)["messages"]) for line in data.splitlines())
        case _:
            return sum(map(len, pq.read_table(io.BytesIO(data))["messages"].to_pylist()))


@pytest.mark.parametrize("name", ["NDJSON", "CSV", "Parquet", "Arrow", "Chats, NDJSON", "Chats, Parquet"])
async def test_what_fits_can_be_taken_along(
    new_page: NewPage, filled: testing.Served, name: str, tmp_path: Path
) -> None:
    page = await explore(new_page, filled, "?language=en")
    await read(page)

    async with page.expect_download() as coming:
        await page.get_by_role("button", name=name, exact=True).click()

    download = await coming.value
    await download.save_as(tmp_path / download.suggested_filename)
    assert messages_in((tmp_path / download.suggested_filename).read_bytes(), name) == 2
    await expect(page.locator("#download-state")).to_contain_text("complete")


async def test_the_csv_of_a_text_search_has_a_byte_order_mark_too(
    new_page: NewPage, filled: testing.Served, tmp_path: Path
) -> None:
    page = await explore(new_page, filled)
    await page.get_by_label("Search text").fill("parcel")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#count")).to_have_text("1 message")

    async with page.expect_download() as coming:
        await page.get_by_role("button", name="CSV", exact=True).click()

    await (await coming.value).save_as(tmp_path / "messages.csv")
    assert messages_in((tmp_path / "messages.csv").read_bytes(), "CSV") == 1


async def test_a_stream_that_breaks_off_becomes_no_file(page: Page) -> None:
    await read(page)
    await page.evaluate(
        """() => {
          const cut = () => new Response(new ReadableStream({ pull: (stream) => stream.error(new TypeError("cut")) }));
          const { fetch } = window;
          window.fetch = (url, about) => (url.includes("format=csv") ? Promise.resolve(cut()) : fetch(url, about));
        }"""
    )

    await page.get_by_role("button", name="CSV").click()

    await expect(page.locator("#download-state")).to_contain_text("messages.csv was not saved")


async def recipe(page: Page, name: str) -> str:
    heading = page.get_by_role("heading", name=name, exact=True)
    return await page.locator("#recipes > div").filter(has=heading).locator("pre").inner_text()


def run(script: str, folder: Path, **environment: str) -> str:
    return subprocess.run(
        ["sh", "-ec", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"} | environment,
    ).stdout


async def test_the_lines_to_copy_do_what_they_say(new_page: NewPage, tmp_path: Path) -> None:
    async with testing.serve(auth="keys") as service:
        await keep(service.service, "d-1", ["It's here", "It's not", "Bye"], language="en")
        key = await service.create_key("data:read")
        page = await explore(new_page, service, "?language=en")
        await page.get_by_label("API key").fill(key)
        await page.get_by_label("Search text").fill("it's")
        await page.get_by_role("button", name="Apply").click()
        await expect(rows(page)).to_have_count(2)
        lines, program, table = [await recipe(page, name) for name in ("curl", "Python", "DuckDB")]
        assert key not in lines + program + table

        found = await asyncio.to_thread(run, lines, tmp_path, CONSENTFUL_TOKEN=key)
        (tmp_path / "read.py").write_text(program)
        frame = await asyncio.to_thread(run, f"{sys.executable} read.py", tmp_path, CONSENTFUL_TOKEN=key)
        fetch, _, query = table.rpartition("\nduckdb -c ")
        await asyncio.to_thread(run, fetch, tmp_path, CONSENTFUL_TOKEN=key)

        assert [json.loads(line)["text"] for line in found.splitlines()] == ["It's not", "It's here"]
        assert "[2 rows x 11 columns]" in frame
        sql = query.strip('"').replace("messages.parquet", str(tmp_path / "messages.parquet"))
        assert duckdb.connect().execute(sql).fetchall() == [("en", "customer", 2)]


async def test_lines_are_copied(page: Page) -> None:
    await read(page)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    await page.get_by_role("button", name="Copy the curl example").click()

    await expect(page.get_by_role("button", name="Copy the curl example")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == await recipe(page, "curl")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_it_fits_and_can_be_read(
    new_page: NewPage, filled: testing.Served, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = await explore(new_page, filled, "?show=d-attack&language=de", width=width, scheme=scheme)
    await expect(page.locator("#dialog #receipt .chip")).to_be_visible()
    await page.locator("#receipt summary").click()
    await page.locator("#more summary").click()
    await page.locator("#plots").scroll_into_view_if_needed()

    assert await fits(page)
    assert await page.evaluate(CONTRAST) == []


async def test_the_page_is_small(page: Page, filled: testing.Served) -> None:
    await rows(page).first.click()
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "full")

    sent: dict[str, int] = await page.evaluate(
        "Object.fromEntries(performance.getEntriesByType('resource').map((one) => [one.name, one.encodedBodySize]))"
    )
    ours = {url.rpartition("/")[2]: size for url, size in sent.items() if "/static/" in url}
    assert ours["rows.js"]
    assert sum(ours.values()) < 40_000


async def test_everything_has_a_name_and_no_id_is_used_twice(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "?show=d-english")
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "full")

    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, summary, a")]
          .filter((node) => !(node.textContent.trim() || node.labels?.length || node.ariaLabel))
          .map((node) => node.outerHTML)"""
    )
    ids: list[str] = await page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")

    assert nameless == []
    assert len(ids) == len(set(ids))


async def plots(page: Page) -> Locator:
    """Return the figures, once all of them are drawn."""
    await page.locator("#plots").scroll_into_view_if_needed()
    figures = page.locator("figure")
    await expect(figures).to_have_count(4)
    await expect(page.locator('figure[aria-busy="false"]')).to_have_count(4)
    return figures


async def test_what_the_server_counts_is_plotted_under_the_policy(new_page: NewPage) -> None:
    clock = testing.FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with testing.serve(clock=clock) as service:
        for day in range(3):
            for number in range(day + 1):
                async with consentful.open_dialog(service.url, customer_id="c-1", language="en") as dialog:
                    for _ in range(4):
                        await dialog.say("Hi")
                    await (dialog.decline() if number else dialog.grant())
            clock.advance(86_400)
        page = await explore(new_page, service)

        figures = await plots(page)

        await expect(figures.locator(".bar")).to_have_count(3 + 1 + 1 + 5)
        numbers = figures.locator("tbody")
        await expect(numbers.nth(0).locator("tr")).to_have_text(["2026-03-011", "2026-03-021", "2026-03-031"])
        await expect(numbers.nth(1)).to_have_text("en12")
        await expect(numbers.nth(2)).to_have_text("3-53")
        await expect(numbers.nth(3).locator("tr")).to_have_text(
            ["2026-03-01100100 %", "2026-03-0211050 %", "2026-03-0312033 %"]
        )
        await figures.nth(0).get_by_text("Data table").click()
        await page.get_by_role("link", name="2026-03-02").first.click()
        await expect(page.locator("#count")).to_have_text("4 messages")
        assert "since=2026-03-02T00%3A00%3A00Z&until=2026-03-03T00%3A00%3A00Z" in page.url
        figures = await plots(page)
        await expect(figures.nth(0).locator(".bar")).to_have_count(1)


async def test_a_bar_filters_by_what_it_counts(page: Page) -> None:
    figures = await plots(page)

    await figures.nth(1).locator(".bar").nth(1).click()

    await expect(page.locator("#count")).to_have_text("1 message")
    assert "?language=" in page.url


async def test_what_is_there_is_counted_and_leads_to_itself(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    facets = page.locator("#facets")
    await expect(facets.get_by_role("list", name="Language").locator("li")).to_have_text(["en-GB2", "ar1", "de1"])
    await expect(facets.get_by_role("list", name="Chatbot").locator("li")).to_have_text(["shop2"])
    await expect(facets.get_by_role("list", name="Role").locator("li")).to_have_text(["customer4"])
    await expect(facets.get_by_role("list", name="Day").locator("li")).to_have_count(1)

    await facets.get_by_role("link", name="shop").click()

    await expect(page.locator("#count")).to_have_text("2 messages")
    await expect(facets.get_by_role("list", name="Language").locator("li")).to_have_text(["en-GB2"])
    await facets.get_by_role("link", name="shop ×").click()
    await expect(page.locator("#count")).to_have_text("4 messages")


async def test_languages_are_offered_as_they_are_kept(page: Page) -> None:
    await expect(page.locator("#languages option")).to_have_count(3)

    assert await page.locator("#bots option").evaluate_all("options => options.map((option) => option.value)") == [
        "shop"
    ]
