"""The curves as one SVG: what should stay stays on the dashed line at once, what should grow follows the rising one.

All panels have the same scale, of the value at once: 100 times it is two thirds of the height. The picture has a
background of its own, so that it reads in light and dark.
"""

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Any, Final

COLUMNS: Final = 4
_WIDE, _HIGH, _GAP, _TOP = 236, 150, 12, 64
_LEFT, _RIGHT, _UPPER, _LOWER = 30, 206, 44, 118
_LEAST, _MOST = 0.3, 300.0
_STYLE: Final = """
svg { --ground: #ffffff; --panel: #f6f7f9; --ink: #1c2530; --soft: #5d6875; --flat: #1d64b8; --linear: #b0521a }
@media (prefers-color-scheme: dark) {
  svg { --ground: #12171d; --panel: #1b222a; --ink: #e8edf2; --soft: #9aa6b3; --flat: #6cb2ff; --linear: #f0995c }
}
.ground { fill: var(--ground) } .panel { fill: var(--panel) }
text { fill: var(--ink); font: 12px system-ui, sans-serif } .title { font-size: 16px; font-weight: 600 }
.name { font-size: 13px; font-weight: 600 } .soft { fill: var(--soft) }
.middle { text-anchor: middle } .last { text-anchor: end }
.expected { stroke: var(--soft); stroke-dasharray: 3 4; fill: none } .curve { fill: none; stroke-width: 2.5 }
.flat { stroke: var(--flat) } .linear { stroke: var(--linear) }
circle.flat { fill: var(--flat) } circle.linear { fill: var(--linear) }
"""


def svg(curves: Sequence[dict[str, Any]]) -> str:
    """Return the picture of these curves, as `Curve.as_json` tells them."""
    rows = -(-len(curves) // COLUMNS)
    width, height = COLUMNS * (_WIDE + _GAP) + _GAP, _TOP + rows * (_HIGH + _GAP)
    panels = "".join(
        f'<g transform="translate({_GAP + number % COLUMNS * (_WIDE + _GAP)} '
        f'{_TOP + number // COLUMNS * (_HIGH + _GAP)})">{_panel(curve)}</g>\n'
        for number, curve in enumerate(curves)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(_told(curves), quote=True)}">\n<style>{_STYLE}</style>\n'
        f'<rect class="ground" width="{width}" height="{height}" rx="8"/>\n'
        f'<text class="title" x="{_GAP}" y="26">1, 10 and 100 times the data or the load</text>\n'
        f'<text class="soft" x="{_GAP}" y="48">Same logarithmic scale in all panels. Dashed: what is expected, '
        f"the same value (blue) or a value that grows with the data (orange).</text>\n{panels}</svg>\n"
    )


def _panel(curve: dict[str, Any]) -> str:
    shape, values = curve["shape"], curve["values"]
    points = [(_x(step), _y(value / values[0])) for step, value in enumerate(values)]
    last = len(values) - 1
    expected = _y(1.0 if shape == "flat" else 10.0**last)
    parts = [
        f'<rect class="panel" width="{_WIDE}" height="{_HIGH}" rx="6"/>',
        f'<text class="name" x="{_GAP}" y="22">{escape(curve["title"])}</text>',
        f'<text class="soft last" x="{_WIDE - _GAP}" y="22">{escape(curve["counted"])}</text>',
        f'<path class="expected" d="M{_x(0):.0f} {_y(1):.1f}L{_x(last):.0f} {expected:.1f}"/>',
        f'<path class="curve {shape}" d="M{"L".join(f"{x:.0f} {y:.1f}" for x, y in points)}"/>',
    ]
    for (x, y), value, size in zip(points, values, curve["of"], strict=True):
        parts += [
            f'<circle class="{shape}" cx="{x:.0f}" cy="{y:.1f}" r="4"/>',
            f'<text class="middle" x="{x:.0f}" y="{y - 10:.1f}">{escape(measure(value, curve["unit"]))}</text>',
            f'<text class="soft middle" x="{x:.0f}" y="{_HIGH - 10}">{escape(size)}</text>',
        ]
    return "".join(parts)


def _x(step: int) -> float:
    return _LEFT + step * (_RIGHT - _LEFT) / 2


def _y(times: float) -> float:
    """Return where a value lies that is so many times the first one."""
    share = log10(min(max(times, _LEAST), _MOST) / _LEAST) / log10(_MOST / _LEAST)
    return _LOWER - share * (_LOWER - _UPPER)


def measure(value: float, unit: str) -> str:
    """Return a value with its unit, seconds as milliseconds where that is shorter."""
    if unit == "s" and value < 1:
        value, unit = value * 1000, "ms"
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2g}"
    return f"{number} {unit.replace('dialogs/s', '/s')}"


def _told(curves: Sequence[dict[str, Any]]) -> str:
    """Return the same in words."""
    return "; ".join(
        f"{curve['title']}: " + ", ".join(measure(value, curve["unit"]) for value in curve["values"])
        for curve in curves
    )
