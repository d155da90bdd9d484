"""The explorer's list of dialogs: sorted, sampled, with chosen columns, saved as a view, and exported by selection."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from consentful_server import testing
from kept import keep

from .looks import CONTRAST, fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

ATTACK = "<img src=x onerror=\"document.title='owned'\">"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled() -> AsyncGenerator[testing.Served]:
    """A service with four dialogs of different lengths, of which one is annotated and one is an attack."""
    async with testing.serve() as served:
        await keep(served.service, "d-short", ["Hello"], language="en", metadata={"shop": "Graz", "till": "3"})
        said = ["Where is my parcel?", "There.", "Thanks"]
        await keep(served.service, "d-long", said, language="en", bot="shop", metadata={"shop": "Linz"})
        await keep(served.service, "d-two", ["Bonjour", "Le parcel?"], language="fr", metadata={"shop": "Graz"})
        await keep(served.service, "d-attack", [ATTACK], language="de", metadata={"shop": ATTACK})
        async with aiohttp.ClientSession(served.url) as http:
            await http.put("/v1/annotations/d-long/1", json={"labels": ["intent/parcel"], "review": "accepted"})
        yield served


async def explore(new_page: NewPage, served: testing.Served, address: str = "?view=dialogs", **look: Any) -> Page:
    page = await new_page(served.url, **look)
    await page.goto(f"{served.url}/explore{address}")
    return page


def rows(page: Page) -> Locator:
    return page.locator("#rows tr[data-index]")


async def shows(page: Page, *dialogs: str) -> None:
    """Wait until the list shows these dialogs, in this order."""
    await expect(page.locator("#count")).to_have_text(f"{len(dialogs)} dialog{'' if len(dialogs) == 1 else 's'}")
    await expect(rows(page).locator("a")).to_have_text([f"…{dialog[-8:]}" for dialog in dialogs])


async def choose(page: Page, **fields: str) -> None:
    """Fill fields by their ids and apply them."""
    await page.locator("#more").evaluate("more => { more.open = true }")
    for name, value in fields.items():
        field = page.locator(f"#{name}")
        await (field.select_option(value) if name == "order" else field.fill(value))
    await page.get_by_role("button", name="Apply").click()


async def test_a_switch_leads_to_the_dialogs_and_back(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled, "")
    await expect(page.locator("#count")).to_have_text("7 messages")

    await page.get_by_role("link", name="Dialogs", exact=True).click()

    await shows(page, "d-attack", "d-two", "d-long", "d-short")
    assert page.url.endswith("/explore?view=dialogs")
    await expect(page.get_by_role("heading", name="Dialogs", exact=True)).to_be_visible()
    await expect(page.locator("#totals")).to_have_text("4 dialogs, 7 messages")
    row = rows(page).nth(2)
    await expect(row.locator(".length")).to_have_text("3")
    await expect(row.locator(".text")).to_have_text("Where is my parcel?")
    await expect(row.locator(".annotations")).to_have_text("accepted intent/parcel")
    await row.click()
    await expect(page.locator("#dialog .words")).to_have_count(3)
    await expect(row).to_have_attribute("aria-selected", "true")
    await page.go_back()
    await page.go_back()
    await expect(page.locator("#count")).to_have_text("7 messages")


async def test_dialogs_are_sorted_by_length(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)

    await choose(page, order="longest")

    await shows(page, "d-long", "d-two", "d-attack", "d-short")
    await choose(page, order="shortest")
    await shows(page, "d-short", "d-attack", "d-two", "d-long")
    await choose(page, bot="shop")
    await expect(page.locator("#order")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("alert")).to_contain_text("shortest cannot be combined with bot")
    await page.get_by_role("link", name="Messages", exact=True).click()
    await expect(page.locator("#count")).to_have_text("3 messages")  # newest first: messages have no length


async def test_a_seed_makes_a_sample_that_a_link_repeats(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)

    await choose(page, order="random", seed="7")

    await expect(page.locator("#count")).to_have_text("4 dialogs")
    order = await rows(page).locator("a").all_inner_texts()
    again = await explore(new_page, filled, "?view=dialogs&order=random&seed=7")
    await expect(again.locator("#count")).to_have_text("4 dialogs")
    assert await rows(again).locator("a").all_inner_texts() == order
    await expect(again.get_by_label("Seed")).to_have_value("7")


async def test_metadata_is_a_filter_and_a_column(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await page.locator("#columns summary").click()
    await page.get_by_label("Keys of the metadata").fill("shop, till")
    await page.get_by_role("button", name="Show", exact=True).click()

    await expect(page.locator("#heads")).to_contain_text("shop")
    await expect(rows(page).locator(".metadata")).to_have_text([ATTACK, "–", "Graz", "–", "Linz", "–", "Graz", "3"])
    await choose(page, metadata="shop=Graz")
    await shows(page, "d-two", "d-short")
    assert "Graz" not in page.url
    await page.reload()
    await shows(page, "d-two", "d-short")
    await expect(rows(page).first.locator(".metadata")).to_have_text(["Graz", "–"])
    await page.get_by_role("link", name="Messages", exact=True).click()
    await expect(page.locator("#count")).to_have_text("3 messages")
    await expect(page.locator("#plots-of")).to_contain_text("ignored filters: metadata")
    kept = await page.evaluate("JSON.stringify({ ...localStorage })")
    assert "till" in kept
    assert "Graz" not in kept
    assert await page.title() == "Explore · Consentful"


async def test_metadata_is_a_column_of_messages_too_and_each_list_has_its_own(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await explore(new_page, filled, "")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/messages" in request.url else None)
    await expect(page.locator("#count")).to_have_text("7 messages")
    await page.locator("#columns summary").click()
    await page.get_by_label("Keys of the metadata").fill("till, shop")
    await page.get_by_role("button", name="Show", exact=True).click()

    await expect(page.locator("#heads .metadata")).to_have_text(["till", "shop"])
    of_two, of_attack = ["–", "Graz"], ["–", ATTACK]
    shown = [*of_attack, *of_two * 2, *["–", "Linz"] * 3, "3", "Graz"]
    await expect(rows(page).locator(".metadata")).to_have_text(shown)
    assert ["include=metadata" in url for url in asked] == [True]  # asked for once more, with it
    await page.get_by_label("Keys of the metadata").fill("shop")
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(rows(page).locator(".metadata")).to_have_text(shown[1::2])
    await page.get_by_label("Search text").fill("parcel")
    await page.get_by_role("button", name="Apply").click()
    await expect(rows(page).locator(".metadata")).to_have_text(["Graz", "Linz"])
    await page.get_by_role("link", name="Dialogs", exact=True).click()
    await expect(page.locator("#count")).to_have_text("2 dialogs")
    await expect(page.locator("#heads .metadata")).to_have_count(0)
    await page.get_by_role("link", name="Messages", exact=True).click()
    await page.reload()
    await expect(page.locator("#heads .metadata")).to_have_text("shop")
    await expect(page.get_by_label("Keys of the metadata")).to_have_value("shop")
    await expect(rows(page).locator(".metadata")).to_have_text(["Graz", "Linz"])


async def test_columns_are_chosen_and_remembered(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)
    await expect(rows(page)).to_have_count(4)
    await page.locator("#columns summary").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/dialogs" in request.url else None)

    await page.get_by_role("checkbox", name="Chatbot").check()
    await expect(rows(page).nth(2).locator(".bot")).to_have_text("shop")
    await page.get_by_role("checkbox", name="Customer").check()
    await page.get_by_role("checkbox", name="Annotations").uncheck()

    await expect(rows(page).first.locator(".customer")).to_contain_text("cus_")
    await expect(rows(page).locator(".annotations")).to_have_count(0)
    assert asked == []  # what is there already is not asked for again
    await page.reload()
    await expect(rows(page).first.locator(".customer")).to_contain_text("cus_")
    assert [url.partition("include=")[2] for url in asked] == ["first_text"]


async def test_dialogs_are_searched_by_what_was_said_in_them(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)

    await choose(page, q="PARCEL")

    await shows(page, "d-two", "d-long")
    await rows(page).first.click()
    await expect(page.locator("#dialog mark")).to_have_text("parcel")


async def test_a_view_is_saved_without_what_was_searched_for_unless_that_is_wanted(
    new_page: NewPage, filled: testing.Served
) -> None:
    page = await explore(new_page, filled)
    await choose(page, q="parcel", language="fr")
    await shows(page, "d-two")
    await page.locator("#saved summary").click()
    await page.get_by_label("Name", exact=True).fill("French")
    await page.get_by_role("button", name="Save this view").click()
    await expect(page.locator("#saved-views a")).to_have_text(["French"])
    assert "parcel" not in await page.evaluate("JSON.stringify({ ...localStorage })")
    await page.get_by_label("Name", exact=True).fill("French parcels")
    await page.get_by_label("keep what is searched for, too").check()
    await page.get_by_role("button", name="Save this view").click()
    await page.get_by_role("button", name="Clear all filters").click()
    await expect(page.locator("#count")).to_have_text("7 messages")

    await page.get_by_role("link", name="French", exact=True).click()

    await shows(page, "d-two")
    await expect(page.get_by_label("Search text")).to_have_value("")
    await page.reload()
    await page.locator("#saved summary").click()
    await page.get_by_role("link", name="French parcels").click()
    await expect(page.get_by_label("Search text")).to_have_value("parcel")
    await shows(page, "d-two")
    for name in ("French", "French parcels"):
        await page.get_by_role("button", name=f"Delete the view {name}", exact=True).click()
    await expect(page.locator("#saved-views")).to_have_text("No view is saved in this browser.")
    assert await page.evaluate("localStorage.getItem('consentful views')") is None


@pytest.mark.parametrize("name", ["NDJSON", "Chats, NDJSON"])
async def test_what_is_selected_is_exported_exactly(
    new_page: NewPage, filled: testing.Served, name: str, tmp_path: Path
) -> None:
    page = await explore(new_page, filled)
    await page.get_by_role("checkbox", name="Select dialog d-long").check()
    await page.get_by_role("checkbox", name="Select dialog d-short").check()
    await expect(page.locator("#exported")).to_have_text("the messages of 2 selected dialogs")
    await expect(page.locator("#dialog")).to_have_attribute("data-state", "empty")  # to select is not to open

    async with page.expect_download() as coming:
        await page.get_by_role("button", name=name, exact=True).click()

    await (await coming.value).save_as(tmp_path / "file")
    found = {json.loads(line)["dialog_id"] for line in (tmp_path / "file").read_text().splitlines()}
    assert found == {"d-long", "d-short"}
    await page.get_by_role("button", name="Select all that are loaded").click()
    await expect(page.locator("#exported")).to_have_text("the messages of 4 selected dialogs")
    await page.get_by_role("button", name="Select none").click()
    await expect(page.locator("#exported")).to_have_text("all messages that match the filters")
    await expect(rows(page).locator("input:checked")).to_have_count(0)


async def test_labels_that_were_seen_are_suggested(new_page: NewPage, filled: testing.Served) -> None:
    page = await explore(new_page, filled)

    await shows(page, "d-attack", "d-two", "d-long", "d-short")

    await expect(page.locator("#labels-seen option")).to_have_attribute("value", "intent/parcel")


@pytest.mark.parametrize("view", ["dialogs", "messages"])
async def test_the_columns_that_are_shown_at_first_fit(new_page: NewPage, filled: testing.Served, view: str) -> None:
    page = await explore(new_page, filled, f"?view={view}")
    await expect(rows(page).first).to_be_visible()

    width = await page.locator("#pane").evaluate("pane => [pane.scrollWidth, pane.clientWidth]")
    cut = "cells => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"
    heads = await page.locator("#heads th").evaluate_all(cut)
    times = await page.locator("#rows td:has(time)").evaluate_all(cut)
    heights = await rows(page).evaluate_all("rows => rows.map((row) => row.offsetHeight)")

    assert width[0] <= width[1]
    assert (heads, times, set(heights)) == ([], [], {34})


@pytest.mark.parametrize("view", ["dialogs", "messages"])
async def test_on_a_phone_the_dialog_and_the_number_of_the_message_are_not_cut(new_page: NewPage, view: str) -> None:
    async with testing.serve() as served:
        await keep(served.service, "0197f3a2-7c41-7abc-8def-0123456789ab", ["one " * 30] * 120, language="de-AT-1996")
        page = await explore(new_page, served, f"?view={view}", width=320)
        await expect(rows(page).first).to_contain_text("…456789ab" if view == "dialogs" else "#120")

        cut = "cells => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"
        assert await rows(page).locator("td:last-child").evaluate_all(cut) == []
        assert set(await rows(page).evaluate_all("rows => rows.map((row) => row.offsetHeight)")) == {64}
        assert await fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_it_fits_and_can_be_read_by_everybody(
    new_page: NewPage, filled: testing.Served, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = await explore(new_page, filled, width=width, scheme=scheme)
    await shows(page, "d-attack", "d-two", "d-long", "d-short")
    for panel in ("#columns", "#saved"):
        await page.locator(f"{panel} summary").click()

    assert await fits(page)
    assert await page.evaluate(CONTRAST) == []
    assert await violations(page) == []
