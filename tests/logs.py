"""The log as it is shipped, for as long as a test looks at it."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from consentful_server.telemetry import set_up_logging

_SET_UP = (None, "asyncio", "aiohttp", "aiosqlite")


@contextmanager
def shipped(form: Literal["console", "json"]) -> Generator[logging.Formatter]:
    """Set logging up as the server does, at the lowest level, but for its handler; yield that one's formatter."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in _SET_UP}
    set_up_logging("debug", form)
    formatter = root.handlers[0].formatter
    assert formatter is not None
    root.handlers[:] = handlers
    try:
        yield formatter
    finally:
        root.handlers[:] = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
