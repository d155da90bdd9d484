"""The withdrawal page: one code, no login (GDPR art. 7(3)). It works without a script, and the same with it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Browser, Page, Route, expect

import consentful
from consentful_server import testing
from consentful_server.consent.page_texts import read_texts
from consentful_server.operations.verify import check_receipt
from ports import free_port
from receipts import verified

from .looks import CONTRAST, fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]

LABEL = "Your withdrawal code"


@pytest_asyncio.fixture(
    loop_scope="session", params=[(1280, False), (390, False), (1280, True)], ids=["wide", "phone", "with-script"]
)
async def page(browser: Browser, service: testing.Served, request: pytest.FixtureRequest) -> AsyncGenerator[Page]:
    """The withdrawal page, in browsers that run no script, and in one that does."""
    width, is_scripted = request.param
    context = await browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=is_scripted)
    page = await context.new_page()
    await page.goto(f"{service.url}/withdraw")
    yield page
    await context.close()


async def granted(service: testing.Served) -> consentful.Stored:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        for text in ("one", "two"):
            await dialog.say(text)
        return await dialog.grant()


async def status_of(service: testing.Served, dialog_id: str) -> int:
    async with ClientSession() as http, http.get(f"{service.url}/v1/dialogs/{dialog_id}") as response:
        return response.status


async def test_a_customer_takes_the_consent_back_and_is_told_what_was_erased(
    page: Page, service: testing.Served
) -> None:
    stored = await granted(service)

    await page.get_by_label(LABEL).fill(stored.withdrawal_code.lower().replace("-", " "))
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("status")).to_contain_text("Your conversation has been erased.")
    await expect(page.get_by_role("status").locator("dd").first).to_have_text("2")
    await expect(page.get_by_label(LABEL)).to_be_hidden()
    assert await status_of(service, stored.dialog_id) == 410


async def test_a_used_code_is_told_the_same(page: Page, service: testing.Served) -> None:
    stored = await granted(service)
    said: list[str] = []
    for _ in range(2):
        await page.goto(f"{service.url}/withdraw")
        await page.get_by_label(LABEL).fill(stored.withdrawal_code)
        await page.locator("button.main").click()
        said.append(await page.get_by_role("status").inner_html())

    assert said[0] == said[1]


@pytest.mark.parametrize("code", ["AAAAA-BBBBB", '"><img src=x onerror=alert(1)>', "ä" * 99])
async def test_a_wrong_code_erases_nothing_stays_in_its_field_and_gets_the_focus(page: Page, code: str) -> None:
    await page.get_by_label(LABEL).fill(code)
    await page.locator("button.main").click()

    await expect(page.get_by_role("alert")).to_contain_text("This code is not valid.")
    assert await page.locator("img").count() == 0
    await expect(page.get_by_label(LABEL)).to_have_value(code)
    await expect(page.get_by_label(LABEL)).to_be_focused()
    await expect(page.get_by_label(LABEL)).to_have_attribute("aria-invalid", "true")


async def test_the_confirmation_is_a_file_that_the_published_keys_verify(page: Page, service: testing.Served) -> None:
    stored = await granted(service)
    await page.get_by_label(LABEL).fill(stored.withdrawal_code)
    await page.locator("button.main").click()

    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Download a signed confirmation").click()
    download = await waiting.value

    assert download.suggested_filename == "withdrawal.jws"
    confirmation = Path(await download.path()).read_text("ascii")
    async with ClientSession() as http, http.get(f"{service.url}/.well-known/jwks.json") as response:
        claims = verified(confirmation, *(await response.json(content_type=None))["keys"])
    assert (claims["kind"], claims["jti"], claims["messages"]) == ("withdrawal", stored.dialog_id, 2)
    assert (await check_receipt(confirmation, service.service)).content == "erased"


class TestChoice:
    @pytest_asyncio.fixture(loop_scope="session")
    async def service(self) -> AsyncGenerator[testing.Served]:
        """A service whose notice has two purposes."""
        async with testing.serve() as served:
            shown = served.service.catalogue.for_language("en")
            names = ("improve-chatbot", "Training models")
            two = msgspec.structs.replace(
                shown, id="two", purposes=("improve-chatbot", "train-models"), purpose_names=names
            )
            await served.service.offer.add([two])
            await served.service.offer.refresh()
            yield served

    async def choose(self, page: Page, code: str) -> None:
        await page.get_by_label(LABEL).fill(code)
        await page.get_by_role("button", name="Choose what to withdraw").click()

    async def test_a_customer_withdraws_for_one_purpose_and_keeps_a_confirmation(
        self, page: Page, service: testing.Served
    ) -> None:
        stored = await granted(service)
        await self.choose(page, stored.withdrawal_code)
        await expect(page.get_by_role("checkbox", checked=False)).to_have_count(2)

        await page.get_by_label("Training models").check()
        await page.get_by_role("button", name="Withdraw for these purposes").click()

        told = page.get_by_role("status")
        await expect(told).to_contain_text("Your consent has been withdrawn for these purposes.")
        assert (await told.locator("dd").all_inner_texts())[:2] == ["Training models", "improve-chatbot"]
        assert await status_of(service, stored.dialog_id) == 200
        async with page.expect_download() as waiting:
            await page.get_by_role("link", name="Download a signed confirmation").click()
        verdict = await check_receipt(Path(await (await waiting.value).path()).read_text("ascii"), service.service)
        assert (verdict.claims["withdrawn"], verdict.content) == (["train-models"], "matches")

        await page.goto(f"{service.url}/withdraw")
        await self.choose(page, stored.withdrawal_code)
        await expect(page.get_by_role("checkbox")).to_have_count(1)  # what is left

    async def test_all_of_them_erase_and_so_does_the_other_button(self, page: Page, service: testing.Served) -> None:
        for erase in ("Withdraw for these purposes", "Erase my conversation"):
            stored = await granted(service)
            await page.goto(f"{service.url}/withdraw")
            await self.choose(page, stored.withdrawal_code)
            await expect(page.get_by_role("checkbox")).to_have_count(2)  # the next page may still be on its way
            for box in await page.get_by_role("checkbox").all():
                await box.check()
            await page.get_by_role("button", name=erase).click()

            await expect(page.get_by_role("status")).to_contain_text("Your conversation has been erased.")
            assert await status_of(service, stored.dialog_id) == 410

    async def test_no_choice_withdraws_nothing_and_asks_again(self, page: Page, service: testing.Served) -> None:
        stored = await granted(service)
        await self.choose(page, stored.withdrawal_code)

        await page.get_by_role("button", name="Withdraw for these purposes").click()

        await expect(page.get_by_role("alert")).to_contain_text("Choose at least one purpose.")
        await expect(page.get_by_role("checkbox")).to_have_count(2)
        assert await status_of(service, stored.dialog_id) == 200

    async def test_a_wrong_code_has_no_choice_and_a_used_one_is_told_the_same(
        self, page: Page, service: testing.Served
    ) -> None:
        await self.choose(page, "AAAAA-BBBBB")
        await expect(page.get_by_role("alert")).to_contain_text("This code is not valid.")

        stored = await granted(service)
        await consentful.withdraw(service.url, stored.withdrawal_code)
        await self.choose(page, stored.withdrawal_code)
        await expect(page.get_by_role("status")).to_contain_text("Your conversation has been erased.")

    @pytest.mark.parametrize("width", [1280, 390])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    async def test_every_language_has_its_words_for_it(
        self, new_page: NewPage, service: testing.Served, width: int, scheme: str
    ) -> None:
        stored = await granted(service)
        page = await new_page(service.url, width, scheme)
        for language, texts in service.service.withdrawal_texts.items():
            await page.goto(f"{service.url}/withdraw?lang={language}")
            await page.get_by_label(texts.label).fill(stored.withdrawal_code)
            await page.get_by_role("button", name=texts.choose).click()
            await page.get_by_role("button", name=texts.withdraw).click()

            await expect(page.get_by_role("alert")).to_contain_text(texts.none)
            await expect(page.get_by_role("group", name=texts.purposes)).to_be_visible()
            assert await fits(page), language
            assert (await page.evaluate(CONTRAST), await violations(page)) == ([], []), language


class TestLanguages:
    @pytest.mark.parametrize(
        ("accepted", "query", "language", "direction"),
        [
            ("de-AT,de;q=0.9,en;q=0.8", "", "de", "ltr"),
            ("xx, ar;q=0.3, fr;q=0.7", "", "fr", "ltr"),
            ("fr", "?lang=ar-EG", "ar", "rtl"),
            ("tlh", "", "en", "ltr"),
            ("", "?lang=%22%3E%3Cimg%3E", "en", "ltr"),
        ],
    )
    async def test_the_link_decides_then_the_browser_then_english(
        self, service: testing.Served, accepted: str, query: str, language: str, direction: str
    ) -> None:
        url, headers = f"{service.url}/withdraw{query}", {"Accept-Language": accepted}
        async with ClientSession() as http, http.get(url, headers=headers) as response:
            text = await response.text()

        assert f'<html lang="{language}" dir="{direction}">' in text
        assert response.headers["Content-Language"] == language
        assert "<img>" not in text

    @pytest.mark.parametrize("width", [1280, 390])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    async def test_every_language_is_readable_and_stays_chosen(
        self, new_page: NewPage, service: testing.Served, width: int, scheme: str
    ) -> None:
        page = await new_page(service.url, width, scheme)
        for language, texts in service.service.withdrawal_texts.items():
            await page.goto(f"{service.url}/withdraw?lang={language}")
            await page.get_by_label(texts.label).fill("AAAAA")
            await page.locator("button.main").click()

            await expect(page.get_by_role("alert")).to_contain_text(texts.wrong)
            assert await fits(page), language
            assert (await page.evaluate(CONTRAST), await violations(page)) == ([], []), language

    async def test_the_operator_adds_a_language_and_replaces_texts(self, tmp_path: Path) -> None:
        texts = tmp_path / "texts.toml"
        shipped = msgspec.structs.asdict(read_texts()["en"])
        texts.write_bytes(msgspec.toml.encode({"he": {**shipped, "name": "עברית", "dir": "rtl"}}))

        async with (
            testing.serve(withdrawal_texts=texts) as served,
            ClientSession() as http,
            http.get(f"{served.url}/withdraw?lang=iw") as response,
        ):
            assert '<html lang="he" dir="rtl">' in await response.text()


async def test_a_link_fills_the_code_in_and_takes_it_out_of_the_address_bar(
    new_page: NewPage, service: testing.Served
) -> None:
    stored = await granted(service)
    page = await new_page(service.url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(stored.withdrawal_link(service.url.replace("http", "ws", 1), "de"))

    await expect(page.get_by_label("Ihr Widerrufscode")).to_have_value(stored.withdrawal_code)
    assert page.url == f"{service.url}/withdraw?lang=de"
    await page.get_by_role("link", name="Français").click()
    await expect(page.get_by_label("Votre code de retrait")).to_have_value(stored.withdrawal_code)
    await page.locator("button.main").click()
    await expect(page.get_by_role("status").locator("time")).not_to_contain_text("-")
    assert not [url for url in asked if stored.withdrawal_code in url.partition("#")[0]]


async def test_a_link_that_is_opened_while_the_page_is_open_starts_again(
    new_page: NewPage, service: testing.Served
) -> None:
    first, second = await granted(service), await granted(service)
    page = await new_page(service.url)
    address = f"{service.url}/withdraw"
    await page.goto(address)
    await page.get_by_label(LABEL).fill("AAAAA")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()

    await page.goto(f"{address}#{first.withdrawal_code}")  # as if it were pasted into the address bar
    await expect(page.get_by_label(LABEL)).to_have_value(first.withdrawal_code)
    await expect(page.get_by_label(LABEL)).to_be_focused()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page).to_have_url(address)

    await page.get_by_role("button", name="Choose what to withdraw").click()
    await expect(page.get_by_role("checkbox")).to_be_focused()
    await page.goto(f"{address}#{second.withdrawal_code}")
    await expect(page.get_by_role("checkbox")).to_have_count(0)
    await expect(page.get_by_label(LABEL)).to_have_value(second.withdrawal_code)
    await page.locator("button.main").click()

    await expect(page.get_by_label(LABEL)).to_be_hidden()
    await page.goto(f"{address}#{first.withdrawal_code}")
    await expect(page.get_by_label(LABEL)).to_have_value(first.withdrawal_code)
    assert [await status_of(service, one.dialog_id) for one in (first, second)] == [200, 410]
    await expect(page).to_have_url(address)


class TestWithoutAnAnswer:
    async def test_what_was_chosen_and_typed_stays_and_is_sent_again(self, new_page: NewPage, tmp_path: Path) -> None:
        port = free_port()
        async with testing.serve(folder=tmp_path, port=port) as service:
            stored = await granted(service)
            page = await new_page(service.url)
            await page.goto(f"{service.url}/withdraw")
            await page.get_by_label(LABEL).fill(stored.withdrawal_code)
        await page.get_by_role("button", name="Choose what to withdraw").click()
        await expect(page.get_by_role("alert")).to_contain_text("It is not known whether anything was erased.")
        await expect(page.get_by_label(LABEL)).to_have_value(stored.withdrawal_code)
        retry = page.get_by_role("button", name="Try again")
        await expect(retry).to_be_focused()
        assert (await fits(page), await violations(page)) == (True, [])

        async with testing.serve(folder=tmp_path, port=port) as service:
            await retry.click()

            await expect(page.get_by_role("checkbox")).to_be_focused()  # to choose was sent, not to erase
            await expect(page.get_by_role("alert")).to_have_count(0)
            assert await status_of(service, stored.dialog_id) == 200
            await page.get_by_role("checkbox").check()
            await page.route("**/withdraw?*", lambda route: route.abort("connectionrefused"))
            await page.get_by_role("button", name="Withdraw for these purposes").click()
            await expect(retry).to_be_focused()
            await expect(page.get_by_role("checkbox")).to_be_checked()
            await page.unroute("**/withdraw?*")
            await retry.click()
            await expect(page.get_by_role("status")).to_be_focused()
            await expect(page.get_by_role("status")).to_contain_text("Your conversation has been erased.")
            await expect(page.get_by_role("status").locator("time")).not_to_contain_text("-")

    async def test_a_second_press_sends_nothing_while_the_first_waits(
        self, new_page: NewPage, service: testing.Served
    ) -> None:
        page = await new_page(service.url)
        await page.goto(f"{service.url}/withdraw?lang=de")
        asked: list[Route] = []

        async def keep_waiting(route: Route) -> None:
            asked.append(route)

        await page.route("**/withdraw?*", keep_waiting)
        await page.get_by_label("Ihr Widerrufscode").fill("AAAAA")
        await page.keyboard.press("Enter")
        await expect(page.locator("#waiting")).to_have_text("Warten auf den Server …")

        await page.keyboard.press("Enter")
        await expect(page.locator("form button:enabled")).to_have_count(0)
        await asked[0].continue_()

        await expect(page.get_by_role("alert")).to_contain_text("Dieser Code ist nicht gültig.")
        assert len(asked) == 1

    @pytest.mark.parametrize("answer", [{"status": 200, "body": "<h1>Bad gateway</h1>"}, {"status": 413, "body": ""}])
    async def test_another_page_is_no_answer(
        self, new_page: NewPage, service: testing.Served, answer: dict[str, Any]
    ) -> None:
        page = await new_page(service.url)
        await page.goto(f"{service.url}/withdraw")
        await page.route("**/withdraw?*", lambda route: route.fulfill(**answer))
        await page.get_by_label(LABEL).fill("AAAAA")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("alert")).to_contain_text("No answer from the server.")
        await expect(page.get_by_label(LABEL)).to_have_value("AAAAA")

    async def test_it_is_told_in_every_language(self, new_page: NewPage, service: testing.Served) -> None:
        page = await new_page(service.url, 390)
        for language, texts in service.service.withdrawal_texts.items():
            await page.goto(f"{service.url}/withdraw?lang={language}")
            await page.route("**/withdraw?*", lambda route: route.abort("connectionrefused"))
            await page.get_by_label(texts.label).fill("AAAAA")
            await page.locator("button.main").click()

            await expect(page.get_by_role("alert")).to_contain_text(texts.lost_text)
            await expect(page.get_by_role("button", name=texts.retry)).to_be_focused()
            assert await fits(page), language
            assert (await page.evaluate(CONTRAST), await violations(page)) == ([], []), language
            await page.unroute("**/withdraw?*")


async def test_it_fits_a_phone(page: Page) -> None:
    layout: dict[str, Any] = await page.evaluate("({whole: document.documentElement.scrollWidth, seen: innerWidth})")

    assert layout["whole"] <= layout["seen"]
