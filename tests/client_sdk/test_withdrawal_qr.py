"""QR codes by the SDK; that they can be read is in `tests/browser/test_qr.py`."""

import sys
from datetime import UTC, datetime

import pytest

import consentful

STORED = consentful.Stored("d-1", 1, datetime(2026, 1, 1, tzinfo=UTC), "receipt", "HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I")


def test_without_segno_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)

    for draw in (STORED.withdrawal_qr_svg, STORED.withdrawal_qr_png):
        with pytest.raises(ImportError, match=r"pip install 'consentful\[qr\]'"):
            draw("https://chat.example")


def test_a_drawing_names_neither_link_nor_code() -> None:
    """An image may be stored beside others; whoever lists their texts finds no code."""
    assert "HDSBL" not in STORED.withdrawal_qr_svg("https://chat.example")
    assert b"HDSBL" not in STORED.withdrawal_qr_png("https://chat.example")
