"""The privacy officer's page in a real browser: what is due, a person's data, erasure, and what goes wrong."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Download, Page, Route, expect

from consentful_server import testing
from consentful_server.access_log.chain import OPERATOR, Actor
from consentful_server.access_log.store import Trace
from consentful_server.auth.access import Scope
from consentful_server.auth.read_scope import EVERYTHING, ReadScope
from consentful_server.service import Service
from consentful_server.stores.sqlite.connection import connect
from kept import annotate, keep

from .looks import CONTRAST, fits, violations

NewPage: TypeAlias = Callable[..., Awaitable[Page]]
OFFICER = Actor("officer")


@pytest_asyncio.fixture(loop_scope="session")
async def served() -> AsyncGenerator[testing.Served]:
    async with testing.serve() as running:
        yield running


async def fill(service: Service) -> None:
    """Store dialogs, read some, erase one, and record requests: one overdue, one due soon, one with time."""
    for number in range(12):
        await keep(service, f"d-{number}", ["Hi", "Hello"], customer_id=f"c-{number % 3}")
    for number in range(5):
        await service.pages.dialog(f"d-{number}", ReadScope(by=Actor("science")))
    await service.archive.erase("d-1", "requested")
    for days, reference in ((40, "2026/1"), (25, "2026/2"), (1, "2026/3")):
        at = service.clock.now() - timedelta(days=days)
        await service.register.receive("access", by=OFFICER, scope=EVERYTHING, reference=reference, at=at)
    service.statistics.ended(None, ("default-1", "en"), "stored")


async def opened(new_page: NewPage, served: testing.Served, *how: object) -> Page:
    page = await new_page(served.url, *how)
    await page.goto(f"{served.url}/privacy")
    return page


async def look_up(page: Page, *ids: str) -> None:
    await page.get_by_label("Customer ids").fill("\n".join(ids))
    await page.get_by_role("button", name="Look up").click()
    await page.locator("#person .actions").wait_for()


async def saved(page: Page, name: str) -> tuple[str, str]:
    """Click the button; return the name of the file that it saves, and the content."""
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name=name, exact=True).click()
    download: Download = await waiting.value
    return download.suggested_filename, Path(await download.path()).read_text("utf-8")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_whatever_it_shows(
    new_page: NewPage, served: testing.Served, width: int, scheme: str
) -> None:
    page = await opened(new_page, served, width, scheme)
    await expect(page.locator("#retention .empty")).to_be_visible()
    assert (await violations(page), await page.evaluate(CONTRAST)) == ([], [])
    await fill(served.service)
    await page.reload()

    await look_up(page, "c-0", "c-1")

    await expect(page.locator("#alarms li")).to_have_count(2)
    assert await fits(page)
    assert (await violations(page), await page.evaluate(CONTRAST)) == ([], [])
    await page.get_by_role("button", name="Erase …").click()
    assert (await violations(page), await fits(page)) == ([], True)


async def test_what_is_overdue_or_due_soon_is_told_first(new_page: NewPage, served: testing.Served) -> None:
    await fill(served.service)
    page = await opened(new_page, served)

    await expect(page.locator("#alarms li").nth(0)).to_contain_text("1 overdue")
    await expect(page.locator("#alarms li").nth(1)).to_contain_text("1 due within 7 days")
    await page.get_by_label("Show").select_option("open")
    first = page.locator("#requests tbody tr").nth(0)
    await expect(first).to_contain_text("overdue by 12 d")
    await expect(first).to_contain_text("2026/1")
    await expect(page).to_have_url(f"{served.url}/privacy?status=open")
    await page.reload()
    await expect(page.locator("#requests tbody tr")).to_have_count(3)


async def test_an_erasure_shows_what_it_will_erase_and_does_nothing_until_it_is_confirmed(
    new_page: NewPage, served: testing.Served
) -> None:
    await fill(served.service)
    page = await opened(new_page, served)
    await look_up(page, "c-0", "c-2", "nobody")
    dialog = page.get_by_role("dialog")

    await page.get_by_role("button", name="Erase …").click()
    await expect(dialog).to_contain_text("Erase 8 dialogs?")
    await expect(dialog).to_contain_text("16 messages")
    await expect(dialog.locator("tbody tr")).to_have_count(8)
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert len(await served.service.store.dialogs.of_customer(served.service.archive.pseudonym("c-0"))) == 4

    await page.get_by_role("button", name="Erase …").click()
    await dialog.get_by_role("button", name="Erase", exact=True).click()
    await expect(page.locator(".actions [role=status]")).to_contain_text(
        "c-0: 4 dialogs erased, unreadable: nobody can"
    )
    await expect(page.locator(".actions [role=status]")).to_contain_text("nobody: nothing was stored")
    assert await served.service.store.dialogs.of_customer(served.service.archive.pseudonym("c-2")) == []
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download the signed report").first.click()
    report = Path(await (await waiting.value).path()).read_text("ascii")
    await page.locator("#receipt").fill(report)
    await page.get_by_role("button", name="Verify", exact=True).click()
    await expect(page.locator("#receipts .chip")).to_have_text("erased")


async def test_an_answer_is_saved_for_its_recorded_request_which_is_then_closed(
    new_page: NewPage, served: testing.Served
) -> None:
    await fill(served.service)
    page = await opened(new_page, served)
    await expect(page.locator("#alarms li")).to_have_count(2)
    await look_up(page, "c-0")
    await page.get_by_label("For", exact=True).select_option("access 2026/2")

    name, answer = await saved(page, "Answer (access)")

    document = json.loads(answer)
    assert (name, document["request"]["status"], len(document["dialogs"])) == ("access-1.json", "complete", 4)
    await page.get_by_role("button", name="Details of the access request 2026/2").click()
    await page.get_by_role("button", name="Answered").click()
    await expect(page.locator("#request .facts")).to_contain_text("answered")
    await page.get_by_role("button", name="Close").click()
    await expect(page.locator("#alarms li")).to_have_count(1)


async def test_a_request_is_recorded_extended_and_refused_and_each_says_why(
    new_page: NewPage, served: testing.Served
) -> None:
    page = await opened(new_page, served)
    await page.locator("#recording summary").click()
    await page.get_by_label("Your file number").fill("2026/9")
    await page.get_by_role("button", name="Record").click()
    await expect(page.locator("#receive-state")).to_contain_text("Recorded, due on")

    await page.get_by_role("button", name="Details of the access request 2026/9").click()
    await page.get_by_role("button", name="Extend …").click()
    await page.get_by_label("Why").select_option("complexity")
    await page.get_by_role("button", name="Extend by two months").click()
    await expect(page.locator("#request .facts")).to_contain_text("it is complex")
    await expect(page.get_by_role("button", name="Extend …")).to_have_count(0)  # once, so it is not offered again
    await page.get_by_role("button", name="Refuse …").click()
    await expect(page.locator("#request")).to_contain_text("they can complain to a supervisory authority")
    await page.get_by_role("button", name="Refuse", exact=True).click()

    await expect(page.locator("#request .facts")).to_contain_text("the person was not identified")
    await expect(page.locator("#request .facts")).to_contain_text("the person must be told why")
    await expect(page.get_by_role("button", name="Answered")).to_have_count(0)


async def test_what_is_overdue_can_not_be_extended_any_more(new_page: NewPage, served: testing.Served) -> None:
    await fill(served.service)
    page = await opened(new_page, served)

    await page.get_by_role("button", name="Details of the access request 2026/1").click()

    await expect(page.get_by_role("button", name="Refuse …")).to_be_visible()
    await expect(page.get_by_role("button", name="Extend …")).to_have_count(0)


async def test_an_answer_is_also_a_letter_that_a_person_can_read(new_page: NewPage, served: testing.Served) -> None:
    markup = "<script>document.title = 'run'</script>"
    await keep(served.service, "d-1", ["Where is my parcel?", "مرحبا 👋🏽", markup], customer_id="c-<b>1</b>")
    await annotate(served.service, "d-1", "Asked twice.")
    await served.service.pages.dialog("d-1", ReadScope(by=Actor("science")))
    page = await opened(new_page, served)
    await look_up(page, "c-<b>1</b>")
    await saved(page, "Answer (access)")

    name, letter = await saved(page, "Save it to read and print")

    assert name == "access-1.html"
    await page.goto("about:blank")
    await page.set_content(letter)
    for told in ("c-<b>1</b>", "science: 1 of the conversations", "Where is my parcel?", "مرحبا 👋🏽", markup):
        await expect(page.locator("body")).to_contain_text(told)
    await expect(page.locator("body")).to_contain_text("Asked twice.")
    await expect(page.locator("body")).to_contain_text("any data protection authority")
    assert await page.title() == "Your data"
    assert await violations(page) == []


async def test_an_id_with_characters_that_nobody_sees_is_told_and_looked_up_without(
    new_page: NewPage, served: testing.Served
) -> None:
    await keep(served.service, "d-1", customer_id="c-1")
    await keep(served.service, "d-2", customer_id="c-2")
    page = await opened(new_page, served)

    await look_up(page, "c-1\u200b", "c-2")
    await expect(page.locator("#person td").first).to_have_text("c-1[U+200B]")
    await expect(page.locator("#person [role=alert]")).to_contain_text("characters that cannot be seen")
    await page.get_by_role("button", name="Look up without them").click()

    await expect(page.locator("#person .chip")).to_have_text("2 dialogs")
    await expect(page.locator("#person [role=alert]")).to_have_count(0)


async def test_what_is_stored_under_a_spelling_that_looks_the_same_is_found_and_erased_too(
    new_page: NewPage, served: testing.Served
) -> None:
    for number, customer in enumerate(("M\u00fcller", "Mu\u0308ller", "Muller")):
        await keep(served.service, f"d-{number}", customer_id=customer)
    page = await opened(new_page, served)

    await look_up(page, "M\u00fcller")
    await expect(page.locator("#person .chip")).to_have_text("2 dialogs")
    await page.get_by_role("button", name="Erase …").click()
    await page.get_by_role("dialog").get_by_role("button", name="Erase", exact=True).click()

    await expect(page.locator(".actions [role=status] p")).to_have_count(2)
    assert await served.service.store.dialogs.of_customer(served.service.archive.pseudonym("Mu\u0308ller")) == []
    await look_up(page, "Muller")
    await expect(page.locator("#person .chip")).to_have_text("1 dialog")


async def test_an_officer_without_a_key_is_told_where_to_enter_it(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as served:
        page = await opened(new_page, served)

        await expect(page.locator("#requests")).to_contain_text("Enter your API key at the top of this page.")
        await expect(page.locator("#alarms .chip")).to_have_text("no access")
        await expect(page.locator("#key")).to_be_focused()


async def test_twelve_hundred_requests_come_in_pages(new_page: NewPage, served: testing.Served) -> None:
    for _ in range(1_200):
        await served.service.register.receive("access", by=OFFICER, scope=EVERYTHING)
    page = await opened(new_page, served)
    rows = page.locator("#requests tbody tr")
    await expect(rows).to_have_count(100)

    await page.locator("#requests").get_by_role("button", name="Load more").click()

    await expect(rows).to_have_count(200)
    await expect(page.locator("#requests .chip")).to_have_text("200 shown, more below")


async def test_whose_data_a_credential_saw(new_page: NewPage, served: testing.Served) -> None:
    await fill(served.service)
    page = await opened(new_page, served)
    await page.get_by_label("Credential").fill("science")

    await page.get_by_role("button", name="Whose data did this credential see?").click()

    await expect(page.locator("#log")).to_contain_text("science was shown 5 dialogs of 3 customers.")
    _, report = await saved(page, "Download as JSON")
    assert len(json.loads(report)["dialogs"]) == 5


async def verify_log(page: Page, state: str, earlier: str = "") -> None:
    await page.get_by_label("Head saved earlier").fill(earlier)
    await page.get_by_role("button", name="Verify the log").click()
    await expect(page.locator("#chain .chip")).to_have_text(state)


async def test_the_log_is_verified_step_by_step_and_against_a_head_that_was_saved_earlier(
    new_page: NewPage, served: testing.Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for length in ("_STEP", "_BLOCK"):
        monkeypatch.setattr(f"consentful_server.access_log.verification.{length}", 4)
    await fill(served.service)
    log = served.service.access_log
    earlier = str(await log.head())
    page = await opened(new_page, served)
    await expect(page.locator("#alarms li")).to_have_count(2)
    answers: list[int] = []
    page.on("response", lambda it: answers.append(it.status) if it.url.endswith("/verify") else None)

    await verify_log(page, "unaltered")
    last = (await log.search(Trace(action="log.verified"), limit=1)).items[0].number - 1
    await expect(page.locator("#chain")).to_contain_text(f"Log verified up to entry {last} at")
    assert len(answers) == -(-last // 4) > 1, "each step is a request of its own"
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert (await violations(page), await page.evaluate(CONTRAST), await fits(page)) == ([], [], True)

    await verify_log(page, "unaltered", earlier)
    await expect(page.locator("#chain")).to_contain_text("the head saved earlier is a part of it")

    await verify_log(page, "altered", f"3:{'ab' * 32}")
    await expect(page.locator("#chain .failure")).to_contain_text("entry 3 differs from the saved head")
    await expect(page.locator("#alarms li").nth(0)).to_contain_text("Access log altered")
    await expect(page.locator("#alarms li")).to_have_count(3)

    await verify_log(page, "unaltered", earlier)
    await expect(page.locator("#alarms li")).to_have_count(2)


async def test_an_altered_log_is_an_alarm_that_stays_when_the_page_loads_again(
    new_page: NewPage, served: testing.Served
) -> None:
    await fill(served.service)
    page = await opened(new_page, served)
    await expect(page.locator("#alarms li")).to_have_count(2)
    # With the service's own SQLite: a second one in this process would drop the first one's locks on the file.
    with closing(connect(served.folder / "data" / "consentful.db")) as db, db:
        db.execute("DROP TRIGGER access_log_holds")
        db.execute("UPDATE access_log SET who = 'nobody' WHERE number = 5")

    await verify_log(page, "altered")

    fault = "entry 5 was altered, removed or inserted"
    await expect(page.locator("#chain .failure")).to_contain_text(fault)
    await expect(page.locator("#chain")).to_contain_text("The chain of its entries is intact up to entry 4 at")
    await expect(page.locator("#alarms li").nth(0)).to_contain_text(fault)
    assert (await violations(page), await page.evaluate(CONTRAST)) == ([], [])
    await page.locator("#recording summary").click()
    await page.get_by_role("button", name="Record", exact=True).click()
    await expect(page.locator("#requests tbody tr")).to_have_count(4)
    await expect(page.locator("#alarms .chip")).to_have_text("3")
    await expect(page.locator("#alarms li").nth(0)).to_contain_text(fault)


async def test_a_verification_is_stopped_and_one_that_fails_goes_on_where_it_was(
    new_page: NewPage, served: testing.Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for length in ("_STEP", "_BLOCK"):
        monkeypatch.setattr(f"consentful_server.access_log.verification.{length}", 4)
    await fill(served.service)
    page = await opened(new_page, served)
    sent: list[str] = []
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        """Let the first step pass, hold the second of the first verification, and refuse that of the second one."""
        sent.append(route.request.post_data or "")
        if len(sent) == 2:
            await held.wait()
            await route.abort()
        elif len(sent) == 4:
            await route.fulfill(status=429, json={"detail": "rate limit exceeded", "code": "too_often"})
        else:
            await route.continue_()

    await page.route("**/v1/access-log/verify", hold)
    await page.get_by_role("button", name="Verify the log").click()
    await expect(page.locator("#chain .chip")).to_contain_text("4 of")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#chain .chip")).to_have_text("stopped")
    held.set()

    await verify_log(page, "too_often")
    await page.locator("#chain").get_by_role("button", name="Retry").click()

    await expect(page.locator("#chain .chip")).to_have_text("unaltered")
    assert sent[4] == sent[3] != sent[2] == "{}"


async def test_a_late_answer_does_not_replace_a_newer_one(new_page: NewPage, served: testing.Served) -> None:
    await fill(served.service)
    page = await new_page(served.url)
    newer = asyncio.Event()

    async def late(route: Route) -> None:
        await newer.wait()
        await route.continue_()

    await page.route("**/v1/access-log?*", late)
    await page.goto(f"{served.url}/privacy")
    await page.get_by_label("Credential").fill("science")
    await page.get_by_role("button", name="Whose data did this credential see?").click()
    await expect(page.locator("#log")).to_contain_text("science was shown 5 dialogs")

    newer.set()
    await page.get_by_role("button", name="Look up").click()
    await page.wait_for_load_state("networkidle")

    await expect(page.locator("#log")).to_contain_text("science was shown 5 dialogs")


@pytest.mark.parametrize(("scope", "says"), [("data:read", "the scope privacy"), (None, "token")])
async def test_a_key_that_is_refused_is_demanded_again_and_another_one_is_used(
    new_page: NewPage, scope: Scope | None, says: str
) -> None:
    async with testing.serve(auth="keys") as served:
        keys = served.service.api_keys
        wrong = await keys.create("reader", [scope], None, None, by=OPERATOR) if scope else "cfl_0_0"
        right = await keys.create("officer", ["privacy"], None, None, by=OPERATOR)
        page = await opened(new_page, served)
        await expect(page.get_by_label("API key")).to_be_focused()

        await page.get_by_label("API key").fill(wrong)
        await page.keyboard.press("Enter")
        await expect(page.locator("#key-failure")).to_contain_text(says)
        await page.get_by_label("API key").fill(right)
        await page.keyboard.press("Enter")

        await expect(page.locator("#requests .chip")).to_have_text("none")
        await expect(page.locator("#key-failure")).to_be_hidden()


async def test_a_key_for_some_purposes_works_and_is_told_what_it_may_not_see(new_page: NewPage) -> None:
    async with testing.serve(auth="keys") as served:
        bound = await served.service.api_keys.create("o", ["privacy"], ["research"], None, by=OPERATOR)
        page = await opened(new_page, served)
        await page.get_by_label("API key").fill(bound)
        await page.keyboard.press("Enter")

        await expect(page.locator("#requests .chip")).to_have_text("none")
        await expect(page.locator("#recipients .empty")).to_contain_text("every purpose")
        await expect(page.locator("#key-failure")).to_be_hidden()


async def test_a_server_that_stopped_is_told_and_asked_again(new_page: NewPage) -> None:
    async with testing.serve() as served:
        page = await opened(new_page, served)
        await expect(page.locator("#requests .chip")).to_have_text("none")

    await look_up_nothing(page)

    await expect(page.locator("#person .failure")).to_contain_text("does not respond")
    await expect(page.get_by_label("Customer ids")).to_have_value("c-0")
    await expect(page.locator("#person").get_by_role("button", name="Retry")).to_be_visible()


async def look_up_nothing(page: Page) -> None:
    await page.get_by_label("Customer ids").fill("c-0")
    await page.get_by_role("button", name="Look up").click()


async def test_a_receipt_that_is_altered_is_not_valid(new_page: NewPage, served: testing.Served) -> None:
    receipt = (await keep(served.service, "d-1")).receipt
    page = await opened(new_page, served)
    await page.locator("#receipt").fill(receipt)
    await page.get_by_role("button", name="Verify", exact=True).click()
    await expect(page.locator("#receipts .chip")).to_have_text("stored as consented")

    head, payload, signature = receipt.split(".")
    altered = f"{head}.{payload}.{signature[:-8]}AAAAAAAA"
    await page.locator("#receipt-file").set_input_files(
        {"name": "r.jws", "mimeType": "text/plain", "buffer": altered.encode()}
    )

    await expect(page.locator("#receipts .failure")).to_contain_text("not a receipt")
    await expect(page.locator("#receipts").get_by_role("button", name="Retry")).to_have_count(0)


async def test_no_customer_is_in_a_url(new_page: NewPage, served: testing.Served) -> None:
    page = await opened(new_page, served)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))

    await look_up(page, "contraband-4711")
    await page.get_by_label("Customer id", exact=False).last.fill("contraband-4711")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#log .chip")).not_to_have_text("loading …")

    assert urls
    assert not [url for url in [*urls, page.url] if "4711" in url]
