"""The programs that the test page offers hold the dialog again: each is run."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Page, expect

from consentful_server import testing
from needs import need

from .page.dialog import NewPage, grant, open_dialog, say

TEXTS: Final = ['It\'s "here" \\ \n now', "$HOME `id` 語 🙂"]
SDK: Final = Path(__file__).parents[2] / "static" / "consentful.js"


async def example(page: Page, name: str) -> str:
    await page.get_by_text("The same in Python").click()
    heading = page.locator("#same-code .head").filter(has_text=name)
    return await heading.locator("+ pre").inner_text()


def run(command: list[str], folder: Path) -> str:
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=folder, env=environment)
    return done.stdout


@pytest.mark.parametrize("name", ["Python", "JavaScript", "curl"])
async def test_it_does_the_same_again(new_page: NewPage, tmp_path: Path, name: str) -> None:
    async with testing.serve() as service:
        page = await new_page(service.url)
        await open_dialog(page, customer="it's me")
        await page.get_by_role("textbox", name="Message").fill(TEXTS[0])
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.get_by_label("As", exact=True).select_option("bot")
        await page.locator("#message-language").fill("ja")
        await say(page, TEXTS[1])
        await grant(page)
        (tmp_path / "again.mjs").write_text(await example(page, name), "utf-8")
        (tmp_path / "consentful.js").write_bytes(SDK.read_bytes())
        programs = {
            "Python": [sys.executable],
            "JavaScript": [need("node"), "--experimental-websocket"],  # of its own accord from Node 22 on
            "curl": ["bash", "-e"],
        }

        await asyncio.to_thread(run, [*programs[name], "again.mjs"], tmp_path)

        read = "async () => (await (await fetch('v1/messages')).json()).items"
        items = [[each["text"], each["role"], each["language"]] for each in await page.evaluate(read)]
        assert items == [[TEXTS[1], "bot", "ja"], [TEXTS[0], "customer", "en"]] * 2


async def test_what_was_declined_is_not_in_it(page: Page) -> None:
    await open_dialog(page)
    await say(page, "Forget me")
    await page.get_by_role("button", name="Decline").click()

    program = await example(page, "Python")

    assert "dialog.decline()" in program
    assert "Forget me" not in program


async def test_a_token_is_named_and_not_told(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as service:
        key = await service.create_key()
        page = await new_page(service.url)
        await page.get_by_text("Dialog id, bot, token").click()
        await page.get_by_label("Token").fill(key)
        await open_dialog(page)
        await say(page, "Hello")
        await grant(page)

        text = await example(page, "Python")

        await expect(page.locator("#same-code")).not_to_contain_text(key)
        assert 'os.environ["CONSENTFUL_TOKEN"]' in text
