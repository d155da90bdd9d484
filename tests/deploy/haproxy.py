"""The shipped HAProxy in front of two addresses: the real one, with our file, on free ports."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certificates import Pair, make_pair
from logs import until_written
from needs import need
from ports import free_port

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "haproxy"
_RUNS: Final = b"Loading success"
"""HAProxy says so once its sockets listen and its worker is started."""


@dataclass(frozen=True)
class Front:
    """A running HAProxy, and what it wrote."""

    url: str
    plain_url: str
    pair: Pair
    written: Path

    @property
    def log(self) -> str:
        return self.written.read_text("utf-8")

    async def exchange(self, sent: bytes) -> bytes:
        """Send the bytes over TLS and return all that comes until the connection ends."""
        host, port = self.url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=self.pair.trusted())
        try:
            writer.write(sent)
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


def configure(folder: Path, servers: Sequence[str], change: Callable[[str], str] = str) -> tuple[Path, Front]:
    """Write our file into the folder, with this machine's addresses in it; return where, and what will run there."""
    pair = make_pair(folder)
    both = folder / "chat.example.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    secure, plain = free_port(), free_port()
    text = (FOLDER / "haproxy.cfg").read_text("utf-8")
    for pattern, ours, times in (
        (r"bind :443 ", f"bind 127.0.0.1:{secure} ", 1),
        (r"bind :80\n", f"bind 127.0.0.1:{plain}\n", 1),
        (r"/etc/haproxy/chat\.example\.pem", str(both), 1),
        (r"/etc/haproxy/routes\.map", str(FOLDER / "routes.map"), 2),
        (r"127\.0\.0\.1:8080", servers[0], 2),
        (r"127\.0\.0\.2:8080", servers[-1], 2),
        (r" +(user|group|chroot) .*\n", "", 3),  # the test's user stays who it is
        (r"maxconn 40000", "maxconn 1000", 1),  # this machine may have few open files
        (r"check inter 2s", "check inter 100ms", 1),
    ):
        text, replaced = re.subn(pattern, ours, text)
        assert replaced == times, pattern
    path = folder / "haproxy.cfg"
    path.write_text(change(text))
    urls = (f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}")
    return path, Front(*urls, pair, folder / "haproxy.log")


@asynccontextmanager
async def front(folder: Path, servers: Sequence[str], change: Callable[[str], str] = str) -> AsyncGenerator[Front]:
    """Run HAProxy before the servers, given as `host:port`."""
    path, ready = configure(folder, servers, change)
    with ready.written.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            need("haproxy"), "-W", "-f", str(path), stdout=log, stderr=asyncio.subprocess.STDOUT
        )
    ended = asyncio.create_task(process.wait())
    listens = asyncio.create_task(until_written(ready.written, _RUNS))
    try:
        await asyncio.wait({ended, listens}, return_when=asyncio.FIRST_COMPLETED)
        assert not ended.done(), ready.log
        await listens
        yield ready
    finally:
        listens.cancel()
        if not ended.done():
            process.terminate()
        await asyncio.wait_for(ended, 30)
