"""What every page has to look like, as a test can see it."""

# A session of the browser's protocol tells no types.
# pyright: reportUnknownMemberType=false

from importlib import resources
from typing import Any, Final, NamedTuple

from playwright.async_api import Page

CONTRAST = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const { backgroundColor } = getComputedStyle(node);
      if (channels(backgroundColor)[3] !== 0) return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  const own = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    if (!own(node) || !node.checkVisibility() || node.closest(":disabled, .hidden, .skip, noscript")) continue;
    const [one, other] = [getComputedStyle(node).color, behind(node)].map(luminance);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push(`${node.tagName}#${node.id}.${node.className}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
"""The elements with text that WCAG 2.2 §1.4.3 (AA) would call too faint."""


async def fits(page: Page) -> bool:
    """Return whether nothing has to be scrolled sideways."""
    layout: dict[str, Any] = await page.evaluate("({whole: document.documentElement.scrollWidth, seen: innerWidth})")
    return layout["whole"] <= layout["seen"]


_AXE: Final = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


async def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong, with the elements. Contrast is `CONTRAST`'s part, which takes a hundredth of
    the time.
    """
    await page.evaluate(_AXE)
    result = await page.evaluate(
        "axe.run({ resultTypes: ['violations'], rules: { 'color-contrast': { enabled: false } } })"
    )
    found: list[dict[str, Any]] = result["violations"] + [
        {"id": "color-contrast", "nodes": [{"html": poor} for poor in await page.evaluate(CONTRAST)]}
    ]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


class Line(NamedTuple):
    """A connection, as Chromium emulates it."""

    bits_per_second: float
    latency_ms: int


SLOW: Final = Line(1.6e6, 150)
"""A phone where reception is poor; what Lighthouse calls slow 4G."""


async def emulate(page: Page, line: Line) -> None:
    """Slow the page down to a line, without a cache."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    speed = line.bits_per_second / 8
    conditions = {"offline": False, "latency": line.latency_ms, "downloadThroughput": speed, "uploadThroughput": speed}
    await session.send("Network.emulateNetworkConditions", conditions)


async def first_paint_ms(page: Page) -> float:
    """Return when the page showed its first text or picture, after it was asked for."""
    return await page.evaluate(
        """new Promise((resolve) => new PerformanceObserver((list) => {
          const [paint] = list.getEntriesByName("first-contentful-paint");
          if (paint) resolve(paint.startTime);
        }).observe({ type: "paint", buffered: true }))"""
    )


async def bytes_sent(page: Page) -> int:
    """Return the size of the page and of what it loaded, as it was transferred."""
    return await page.evaluate(
        """["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
          .reduce((sum, { transferSize }) => sum + transferSize, 0)"""
    )
