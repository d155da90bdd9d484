"""QR codes (ISO/IEC 18004) of withdrawal links. Pure; segno draws them, and is imported only when it is needed.

They are black on white, with the quiet zone of four modules that the standard asks for, on a dark page too: without it
many phones find no code. A code that is partly covered or worn, up to 15 %, can still be read (level M).
"""

import importlib
from io import BytesIO
from typing import Any, Final

_LEVEL: Final = "m"
_QUIET_ZONE: Final = 4
_PIXELS: Final = 8
"""Pixels of a module's side in a PNG: some 360 for the whole code, which prints sharply at 3 cm."""


def svg(link: str) -> str:
    """Return the QR code of a link as an SVG document, without a size of its own: it fills the space that it is given.

    Raises:
        ImportError: If segno is not installed; the message says how to install it.
    """
    drawn = BytesIO()
    _code(link).save(
        drawn,
        kind="svg",
        border=_QUIET_ZONE,
        light="#fff",
        omitsize=True,
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return drawn.getvalue().decode()


def png(link: str) -> bytes:
    """Return the QR code of a link as a PNG file.

    Raises:
        ImportError: If segno is not installed; the message says how to install it.
    """
    drawn = BytesIO()
    _code(link).save(drawn, kind="png", border=_QUIET_ZONE, light="#fff", scale=_PIXELS)
    return drawn.getvalue()


def _code(link: str) -> Any:
    try:
        segno = importlib.import_module("segno")
    except ModuleNotFoundError:
        raise ImportError("this needs segno: pip install 'consentful[qr]'", name="segno") from None
    return segno.make(link, error=_LEVEL, micro=False)
