"""What the server, and what is around it, writes into logs: as it is shipped, and as something to wait for."""

import asyncio
import logging
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from consentful_server.telemetry.logs import set_up_logging

_SET_UP = (None, "asyncio", "aiohttp", "aiosqlite")
_PATIENCE_S: Final = 60.0


@contextmanager
def shipped(form: Literal["console", "json"]) -> Generator[logging.Formatter]:
    """Set logging up as the server does, at the lowest level, but for its handler; yield that one's formatter."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    with as_it_was():
        set_up_logging("debug", form)
        formatter = root.handlers[0].formatter
        assert formatter is not None
        root.handlers[:] = handlers
        yield formatter


@contextmanager
def as_it_was() -> Generator[None]:
    """Set logging up after the block as it was before: commands set it up for their own process."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in _SET_UP}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def logged(logger: str, message: str) -> Generator[asyncio.Event]:
    """Yield an event that is set once this process logs the message on the event loop's thread."""
    event = asyncio.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == message:
                event.set()

    listening, source = Listening(), logging.getLogger(logger)
    level = source.level
    source.addHandler(listening)
    source.setLevel(logging.DEBUG)
    try:
        yield event
    finally:
        source.setLevel(level)
        source.removeHandler(listening)


async def until_written(path: Path, text: bytes, *, after: int = 0) -> None:
    """Return once another process has written the text into its log, behind so many bytes; `tail` waits for that.

    Raises:
        AssertionError: If it does not; the error shows the log.
    """
    path.touch()  # tail would look for a file that is not there once a second
    following = await asyncio.create_subprocess_exec(
        *("tail", "-F", "-c", f"+{after + 1}", str(path)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert following.stdout
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for line in following.stdout:
                if text in line:
                    return
    except TimeoutError:
        raise AssertionError(f"{text!r} was not written into {path}, but: {path.read_text('utf-8')}") from None
    finally:
        following.kill()
        await following.wait()
