"""QR codes of withdrawal links: whoever draws one, a reader finds the link in it, on a dark page too."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import pytest
import zxingcpp
from aiohttp import ClientSession
from playwright.async_api import Page, expect

import consentful
from consentful_server import testing
from javascript import in_node

NewPage: TypeAlias = Callable[..., Awaitable[Page]]
Draw: TypeAlias = Callable[[consentful.Stored, str], Awaitable[bytes]]

_PIXELS = """async ([media, data]) => {
  const image = new Image();
  image.src = `data:${media};base64,${data}`;
  await image.decode();
  const [width, height] = [image.width, image.height];
  const canvas = document.createElement("canvas").getContext("2d");
  Object.assign(canvas.canvas, { width, height });
  canvas.drawImage(image, 0, 0);
  const { data: rgba } = canvas.getImageData(0, 0, width, height);
  const grey = Array.from({ length: width * height }, (_, pixel) => String.fromCharCode(rgba[4 * pixel + 1])).join("");
  return { width, height, grey: btoa(grey) };
}"""
"""The pixels of an image, as Chromium draws it: their green."""


async def read(page: Page, image: bytes) -> str:
    """Return the text of the one QR code in an image; a transparent background counts as black."""
    media = "image/png" if image.startswith(b"\x89PNG") else "image/svg+xml"
    drawn: dict[str, Any] = await page.evaluate(_PIXELS, [media, base64.b64encode(image).decode()])
    pixels = memoryview(base64.b64decode(drawn["grey"])).cast("B", [drawn["height"], drawn["width"]])
    (found,) = zxingcpp.read_barcodes(pixels)
    return found.text


async def svg_by_python(stored: consentful.Stored, url: str) -> bytes:
    return stored.withdrawal_qr_svg(url, "de").encode()


async def png_by_python(stored: consentful.Stored, url: str) -> bytes:
    return stored.withdrawal_qr_png(url, "de")


async def svg_by_javascript(stored: consentful.Stored, url: str) -> bytes:
    script = """console.log(JSON.stringify(await sdk.withdrawalQr(given.url, given.code, { language: "de" })));"""
    return (await in_node(script, {"url": url, "code": stored.withdrawal_code})).encode()


async def over_http(stored: consentful.Stored, url: str, kind: str) -> bytes:
    body = {"code": stored.withdrawal_code, "language": "de", "format": kind}
    async with ClientSession() as http, http.post(f"{url}/v1/withdrawals/qr", json=body) as response:
        assert response.content_type == {"svg": "image/svg+xml", "png": "image/png"}[kind]
        return await response.read()


async def svg_over_http(stored: consentful.Stored, url: str) -> bytes:
    return await over_http(stored, url, "svg")


async def png_over_http(stored: consentful.Stored, url: str) -> bytes:
    return await over_http(stored, url, "png")


async def granted(url: str) -> consentful.Stored:
    async with consentful.open_dialog(url, customer_id="c-1") as dialog:
        await dialog.say("Hello")
        return await dialog.grant()


async def grant(page: Page) -> None:
    """Grant a dialog on the test page."""
    await page.get_by_role("button", name="Open the dialog").click()
    await page.locator("#text").fill("Hello")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_role("button", name="Grant").click()


@pytest.mark.parametrize("draw", [svg_by_python, png_by_python, svg_by_javascript, svg_over_http, png_over_http])
async def test_a_reader_finds_the_link_and_the_link_withdraws(
    new_page: NewPage, service: testing.Served, draw: Draw
) -> None:
    stored = await granted(service.url)
    page = await new_page(service.url)

    link = await read(page, await draw(stored, service.url))

    assert link == stored.withdrawal_link(service.url, "de")
    await page.goto(link)
    await page.locator("button.main").click()
    await expect(page.get_by_role("status")).to_contain_text("gelöscht")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_the_test_page_shows_it_beside_the_code(
    new_page: NewPage, service: testing.Served, scheme: Literal["light", "dark"], width: int
) -> None:
    page = await new_page(service.url, width, scheme)
    await grant(page)
    await page.get_by_text("QR code of the link").click()
    image = page.get_by_role("img", name="QR code of the withdrawal link")
    await expect(image).to_be_visible()

    link = await read(page, await page.locator("#qr").screenshot())  # with what is around it

    assert link.partition("#")[2] == await page.locator("#withdrawal-code").inner_text()
    assert link.startswith(f"{service.url}/withdraw?lang=en#")


async def test_what_cannot_be_drawn_is_told_and_can_be_tried_again(new_page: NewPage, service: testing.Served) -> None:
    page = await new_page(service.url)
    await page.route("**/v1/withdrawals/qr", lambda route: route.fulfill(status=403), times=1)
    await grant(page)
    disclosure = page.get_by_text("QR code of the link")

    await disclosure.click()
    await expect(page.locator("#qr")).to_contain_text("HTTP 403")

    await disclosure.click()
    await disclosure.click()
    await expect(page.locator("#qr img")).to_be_visible()
