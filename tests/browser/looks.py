"""What every page has to look like, as a test can see it."""

from typing import Any

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
