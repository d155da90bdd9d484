"""The plot: on one scale in all panels, what stays lies on the dashed line, and what grows lies above."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from bench.curve import Curve
from bench.plot import COLUMNS, measure, svg

SVG = "{http://www.w3.org/2000/svg}"


def heights(curve: Curve) -> list[float]:
    """Return how far below the panel's top the points of a curve lie."""
    picture = ET.fromstring(svg([curve.as_json()]))
    return [float(circle.attrib["cy"]) for circle in picture.iter(f"{SVG}circle")]


def curve(*values: float, shape: str = "flat") -> Curve:
    return Curve("Erasure", "s", "messages", ("10k", "100k", "1M"), values, "linear" if shape == "linear" else "flat")


def test_what_stays_is_flat_and_what_grows_rises_by_as_much_for_each_ten_times() -> None:
    flat, rising = heights(curve(3, 3, 3)), heights(curve(3, 30, 300))

    assert flat[0] == flat[1] == flat[2] == rising[0]
    steps = [before - after for before, after in pairwise(rising)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2)
    assert steps[0] > 10


@pytest.mark.parametrize("shape", ["flat", "linear"])
def test_the_dashed_line_is_what_is_expected(shape: str) -> None:
    drawn = curve(3, *((3, 3) if shape == "flat" else (30, 300)), shape=shape)
    picture = svg([drawn.as_json()])

    (expected,) = re.findall(r'class="expected" d="M\d+ ([\d.]+)L\d+ ([\d.]+)"', picture)
    points = heights(drawn)
    assert [float(y) for y in expected] == [points[0], points[-1]]


def test_what_is_off_the_scale_stays_in_its_panel() -> None:
    assert all(0 < height < 150 for height in heights(curve(1, 1e-9, 1e9)))


def test_each_curve_has_a_panel_with_its_values_and_is_told_in_words() -> None:
    curves = [curve(0.0042, 0.5, 12.345)] * (COLUMNS + 1)
    picture = ET.fromstring(svg([it.as_json() for it in curves]))

    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert texts.count("4.2 ms") == texts.count("500 ms") == texts.count("12.3 s") == texts.count("1M") == len(curves)
    assert len({group.attrib["transform"] for group in picture.iter(f"{SVG}g")}) == len(curves)
    assert "Erasure: 4.2 ms, 500 ms, 12.3 s" in picture.attrib["aria-label"]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(0.00071, "s", "0.71 ms"), (1.5, "s", "1.5 s"), (1234.4, "µs", "1,234 µs"), (99.5, "MB", "99.5 MB")],
)
def test_a_value_is_short(value: float, unit: str, said: str) -> None:
    assert measure(value, unit) == said
