"""A selection of single messages in the explorer: as a file, and on the clipboard, made by the page from its rows."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Locator, Page, expect

from consentful_server import testing
from consentful_server.exports.formats.csv import defused
from kept import keep

from .looks import fits

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

SAID: Final = ["Where is my parcel?", "It arrives tomorrow.", "Thanks"]
NASTY: Final = [
    *("=1+1", " -1", '"=1', "a;=2", "\t=3", "\r\n@x", "＝1", "\x85=1", "\x1c=1", "\ufeff=1", "\u3000+1"),
    *("\u200b@x", "\x00-1", "\u3164=1", "\U000e0020=1", "\ufeff\tx", "a;\u2060=2", "\ufeffplain"),
    *('a "quote", and more', "a\u2028b\u2029c\x85d", "\x00\x1f\x7f", "😀 🇦🇹", "\\ / \b \f", "plain", "1-1", "'=1"),
]
"""Texts that a spreadsheet could run, that need quotes, or at which a program could split lines."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    async with testing.serve() as served:
        await keep(served.service, "d-nasty", NASTY, language="de", bot="=shop", metadata={"shop": "Graz"})
        await keep(served.service, "d-1", SAID, language="en", bot="shop")
        yield served


async def explore(new_page: NewPage, served: testing.Served, address: str = "?language=en") -> Page:
    page = await new_page(served.url)
    await page.goto(f"{served.url}/explore{address}")
    await expect(page.locator("#recipes pre")).to_have_count(3)  # the export panel comes last
    return page


def box(page: Page, seq: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Select message {seq} of dialog d-1")


async def saved(page: Page, name: str) -> bytes:
    async with page.expect_download() as coming:
        await page.locator("#picks").get_by_role("button", name=name, exact=True).click()
    return Path(await (await coming.value).path()).read_bytes()


async def rows_of(page: Page, name: str = "NDJSON") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await saved(page, name)).splitlines()]


@pytest.mark.parametrize(("name", "parameters"), [("NDJSON", "format=ndjson"), ("CSV", "format=csv&bom=true")])
async def test_a_file_of_the_selection_has_the_bytes_of_the_servers_export(
    new_page: NewPage, filled: testing.Served, name: str, parameters: str
) -> None:
    page = await explore(new_page, filled, "")
    await page.locator("#columns summary").click()
    await page.get_by_label("Keys of the metadata").fill("shop")
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(page.locator("#rows .metadata").last).to_have_text("Graz")
    await page.get_by_role("button", name="Select all that are loaded").click()

    found = await saved(page, name)

    async with ClientSession() as http, http.get(f"{filled.url}/v1/messages?{parameters}") as response:
        assert found == await response.read()
    await expect(page.locator("#download-state")).to_have_text(
        f"messages.{name.lower()}: {len(NASTY) + len(SAID)} messages, complete."
    )


async def test_the_page_defuses_behind_the_same_characters_as_the_server(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await new_page(filled.url)
    codes = [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE2000)]

    found = await page.evaluate(
        """async (codes) => {
          const csv = (await import("/static/picked.js")).FORMS.find(({ name }) => name === "CSV");
          const first = csv.of([]).length;
          const line = (text) => csv.of([{ dialog_id: text }]).slice(first);
          return codes.filter((code) => /^"?'/.test(line(`${String.fromCodePoint(code)}=1`)));
        }""",
        codes,
    )

    assert found == [code for code in codes if defused(f"{chr(code)}=1").startswith("'")]


async def test_what_is_selected_stays_so_under_other_filters_and_is_exported_alone(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await explore(new_page, filled)
    await box(page, 3).check()
    await box(page, 1).check()
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "empty")  # to select is not to open
    await expect(page.locator("#exported")).to_have_text(
        "2 selected messages, made by this page from the rows that it loaded"
    )
    await expect(page.locator("#downloads")).to_be_hidden()

    await page.get_by_role("combobox", name="Language").fill("de")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#count")).to_have_text(f"{len(NASTY)} messages")

    await page.get_by_role("button", name="2 selected").click()
    await expect(page.locator("#export")).to_be_focused()
    assert [row["text"] for row in await rows_of(page)] == ["Thanks", "Where is my parcel?"]
    await page.get_by_role("link", name="Dialogs", exact=True).click()
    await expect(page.locator("#exported")).to_have_text("all messages that match the filters")
    await expect(page.locator("#downloads")).to_be_visible()
    await expect(page.locator("#to-export")).to_be_hidden()
    await page.get_by_role("link", name="Messages", exact=True).click()
    await expect(page.locator("#exported")).to_contain_text("2 selected messages")
    await page.get_by_role("button", name="Select none").click()
    await expect(page.locator("#downloads")).to_be_visible()


async def test_the_selection_is_copied_as_the_file_would_be(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await box(page, 2).check()

    await page.locator("#picks").get_by_role("button", name="Copy").click()

    await expect(page.locator("#download-state")).to_have_text("1 message copied as NDJSON.")
    assert (await page.evaluate("navigator.clipboard.readText()")).encode() == await saved(page, "NDJSON")


async def test_a_clipboard_that_may_not_be_written_to_is_told(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('no')); }")
    await box(page, 2).check()

    await page.locator("#picks").get_by_role("button", name="Copy").click()

    await expect(page.locator("#download-state .failure")).to_contain_text("Save a file instead.")


async def test_the_keyboard_reaches_the_check_box_of_one_row_and_then_its_link(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await explore(new_page, filled)
    await expect(page.locator("#rows tr[data-index]")).to_have_count(3)
    await page.locator("#rows a").first.focus()
    await page.keyboard.press("ArrowDown")

    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Space")

    await expect(box(page, 2)).to_be_checked()
    await expect(page.locator("#rows :is(a, input)[tabindex='0']")).to_have_count(2)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.closest('#rows')") is None


async def test_a_key_takes_what_was_selected_with_it(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        await keep(service.service, "d-1", SAID)
        page = await new_page(service.url)
        key = await service.create_key("data:read")
        await page.evaluate("key => sessionStorage.setItem('consentful key', key)", key)
        await page.goto(f"{service.url}/explore")
        await box(page, 2).check()
        await expect(page.locator("#exported")).to_contain_text("1 selected message")

        await page.get_by_role("button", name="Remove the key").click()

        await expect(page.locator("#exported")).to_have_text("all messages that match the filters")
        await expect(page.locator("#to-export")).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 390])
async def test_it_fits(new_page: NewPage, filled: testing.Served, width: int) -> None:
    page = await new_page(filled.url, width)
    await page.goto(f"{filled.url}/explore?language=en")
    await box(page, 2).check()

    await expect(page.locator("#to-export")).to_be_visible()
    await expect(page.locator("#picks button")).to_have_count(3)
    assert await fits(page)
