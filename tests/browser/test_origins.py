"""Pages of elsewhere in a real browser: one that is allowed does everything, another reaches nothing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web
from playwright.async_api import Browser, Page

from consentful_server import testing
from kept import get

SPEAK = """async ([url, token]) => {
  const { openDialog } = await import(`${url}/static/consentful.js`);
  for (const words of ["one", "two"]) {
    const dialog = await openDialog(url, { customerId: "c-1", token });
    await dialog.say(words);
    await dialog.grant();
  }
  const answer = await fetch(`${url}/v1/messages?limit=1`, { headers: { Authorization: `Bearer ${token}` } });
  const gone = await fetch(`${url}/v1/withdrawals`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: "unknown" }),
  });
  return [(await answer.json()).items[0].text, answer.headers.has("Link"), (await gone.json()).code];
}"""

HIJACK = """async ([url]) => {
  const socket = new WebSocket(url.replace("http", "ws") + "/v1/dialogs/live");
  const live = await new Promise((told) => {
    socket.onopen = () => told("open");
    socket.onclose = ({ code }) => told(code);
  });
  const read = await fetch(`${url}/v1/messages`).then(() => "read", (error) => error.name);
  const body = new URLSearchParams({ text: "forged" });
  await fetch(`${url}/data/c-1/d-1`, { method: "POST", mode: "no-cors", body }).catch(() => null);
  await fetch(`${url}/consents/d-1`, { method: "POST", mode: "no-cors", body: "true" }).catch(() => null);
  const script = document.createElement("script");
  script.src = `${url}/v1/messages`;
  const ran = await new Promise((told) => {
    script.onload = () => told("ran");
    script.onerror = () => told("refused");
    document.head.append(script);
  });
  const framed = document.createElement("iframe");
  framed.src = `${url}/withdraw`;
  await new Promise((told) => { framed.onload = told; document.body.append(framed); });
  return [live, read, ran];
}"""


@asynccontextmanager
async def elsewhere(browser: Browser, host: str) -> AsyncGenerator[tuple[Page, str]]:
    """Yield an empty page of another origin, and that origin."""

    async def blank(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>elsewhere</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", blank)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        origin = f"http://{host}:{runner.addresses[0][1]}"
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(origin)
        yield page, origin
        await context.close()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_page_of_an_allowed_origin_speaks_reads_and_withdraws(browser: Browser, host: str) -> None:
    async with (
        elsewhere(browser, host) as (page, origin),
        testing.serve(auth="keys", allow_origin=(origin,)) as service,
    ):
        token = await service.create_key()

        assert await page.evaluate(SPEAK, [service.url, token]) == ["two", True, "not_found"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_page_of_another_origin_hijacks_no_socket_reads_nothing_and_changes_nothing(
    browser: Browser, host: str
) -> None:
    async with elsewhere(browser, host) as (page, _), testing.serve(auth="none") as service:
        assert await page.evaluate(HIJACK, [service.url]) == [1006, "TypeError", "refused"]

        framed = page.frames[1]
        assert await framed.evaluate("document.querySelector('form')") is None
        async with ClientSession(service.url) as http:
            assert (await get(http, "/v1/messages"))["items"] == []
            async with http.get("/metrics") as response:
                assert "consentful_dialogs_opened_total 0.0" in await response.text()
