"""The test page for everybody: with the keyboard, on a phone, in both schemes, small, and closed to others."""

import re
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from consentful_server import testing

from ..looks import CONTRAST, fits
from .dialog import NewPage, frames, grant, open_dialog, say

ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


async def test_markup_is_shown_as_text_everywhere(page: Page) -> None:
    title = await page.title()
    await open_dialog(page, customer=ATTACK)
    await say(page, ATTACK)
    await expect(frames(page, "sent", "message")).to_contain_text("onerror")

    await grant(page)

    await expect(page.locator("#kept-messages .words")).to_have_text(ATTACK)
    await expect(page.locator("#said .words")).to_have_text(ATTACK)
    await expect(page.locator("main img, main script")).to_have_count(0)
    assert await page.title() == title


async def test_the_whole_way_works_with_the_keyboard_alone(page: Page) -> None:
    async def tab_to(name: str) -> None:
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == name:
                return
        raise AssertionError(f"Tab does not reach {name}")

    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await tab_to("open")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    await page.keyboard.type("Hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("there")
    await page.keyboard.press("Enter")
    await expect(page.locator("#said li")).to_have_attribute("data-held", "true")
    await expect(page.locator("#said .words")).to_have_text("Hello\nthere")
    await tab_to("grant")
    outline = await page.locator("#grant").evaluate("button => getComputedStyle(button).outlineStyle")
    assert outline == "solid"

    await page.keyboard.press("Enter")

    await expect(page.locator("#kept")).to_have_attribute("data-state", "full")
    await expect(page.get_by_role("button", name="New dialog")).to_be_focused()


async def test_a_phone_needs_no_sideways_scrolling(service: testing.Served, new_page: NewPage) -> None:
    page = await new_page(service.url, width=390)

    assert await fits(page)
    await open_dialog(page, customer="c" * 200)
    await say(page, "w" * 300)
    await page.get_by_text("Test failures").click()
    assert await fits(page)
    await grant(page)
    await page.locator("#receipt summary").click()
    assert await fits(page)


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
async def test_both_schemes_are_readable(
    service: testing.Served, new_page: NewPage, scheme: Literal["light", "dark"], is_dark: bool
) -> None:
    page = await new_page(service.url, scheme=scheme)
    assert await page.evaluate(CONTRAST) == []
    await open_dialog(page)
    await say(page, "Hello")
    await page.get_by_text("Test failures").click()
    await page.get_by_label("Malformed frame").select_option("wrong type")
    await page.get_by_role("button", name="Send unchanged").click()
    await expect(frames(page, "received", "error")).to_have_count(1)
    assert await page.evaluate(CONTRAST) == []

    await grant(page)

    await expect(page.locator("#receipt .chip")).to_be_visible()
    assert await page.evaluate(CONTRAST) == []
    background = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(re.findall(r"\d+", background)[0])
    assert (red < 128) is is_dark


async def test_everything_has_a_name_and_no_id_is_used_twice(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Hello")
    await grant(page)

    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, summary, a")]
          .filter((node) => !(node.textContent.trim() || node.labels?.length || node.ariaLabel))
          .map((node) => node.outerHTML)"""
    )
    ids: list[str] = await page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")

    assert nameless == []
    assert len(ids) == len(set(ids))


async def test_the_page_is_small(page: Page) -> None:
    sent: dict[str, int] = await page.evaluate(
        """Object.fromEntries(["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
          .map(({ name, encodedBodySize }) => [name.slice(name.lastIndexOf("/") + 1), encodedBodySize]))"""
    )

    assert {"", "consentful.js", "page.css"} <= sent.keys()
    assert all(sent.values())
    assert sum(sent.values()) < 40_000


async def test_the_policy_lets_nothing_in_from_elsewhere(page: Page) -> None:
    answer = await page.reload()

    assert answer is not None
    policy = (await answer.all_headers())["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_page_ends_with_its_panels_however_many_frames_there_are(page: Page) -> None:
    """What is hidden in the log, for screen readers, is placed in the log, and not below the page."""
    await open_dialog(page)
    for number in range(30):
        await say(page, f"message {number}")

    below = await page.evaluate(
        """() => {
          const ends = [...document.querySelectorAll(".panel")].map((panel) => panel.getBoundingClientRect().bottom);
          return document.documentElement.scrollHeight - scrollY - Math.max(...ends);
        }"""
    )

    assert below < 60
