"""The documented nginx in front of one or more servers: the real one, with our file, on free ports."""

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from certificates import Pair, make_pair
from logs import until_written
from needs import need
from ports import free_port

CONF = Path(__file__).parents[1] / "deploy" / "nginx" / "consentful.conf"
_LISTENS = b"event method"
"""nginx tells how it waits for events as soon as its sockets listen."""

_SPILLS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/main.log notice;
events {{ worker_connections 512; }}
http {{
    {spills}
    include {folder}/consentful.conf;
}}
"""


@dataclass(frozen=True)
class Front:
    """A running nginx, and what it wrote."""

    url: str
    plain_url: str
    pair: Pair
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "consentful.log").read_text("utf-8")

    def written(self) -> str:
        """Return everything that it wrote anywhere."""
        return "\n".join(path.read_text("utf-8") for path in sorted(self.folder.glob("*.log")))

    async def exchange(self, sent: bytes) -> bytes:
        """Send the bytes over TLS and return all that comes until the connection ends."""
        host, port = self.url.removeprefix("https://").split(":")
        trusted = self.pair.trusted()
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trusted)
        try:
            writer.write(sent)
            async with asyncio.timeout(20):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except (ConnectionError, ssl.SSLError):
                pass  # it hung up on us


def configure(folder: Path, servers: Sequence[str], change: Callable[[str], str] = str) -> tuple[Path, int, int, Pair]:
    """Write our file into the folder, with the servers' URLs and this machine's addresses, and one that includes it."""
    pair = make_pair(folder)
    secure, plain = free_port(), free_port()
    text = CONF.read_text("utf-8")
    for pattern, ours, times in (
        (r"listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;", 1),
        (r"listen 80;", f"listen 127.0.0.1:{plain};", 1),
        (r"/etc/ssl/chat.example/fullchain.pem", str(pair.certificate), 1),
        (r"/etc/ssl/chat.example/privkey.pem", str(pair.key), 1),
        (r"/var/log/nginx", str(folder), 3),
        (r"    server 127\.0\.0\.1:8080 (.*;)\n    # server .*\n", _lines_of(servers), 2),
    ):
        text, replaced = re.subn(pattern, ours, text)
        assert replaced == times, pattern
    (folder / "consentful.conf").write_text(change(text))
    spills = "\n    ".join(f"{name}_temp_path {folder}/spilled/{name};" for name in _SPILLS)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, spills=spills))
    (folder / "spilled").mkdir()
    return main, secure, plain, pair


def _lines_of(servers: Sequence[str]) -> str:
    """Return a line for each server, with what stands behind the address in our file."""
    return "".join(f"    server {server.removeprefix('http://')} \\1\n" for server in servers)


@asynccontextmanager
async def front(folder: Path, servers: Sequence[str], change: Callable[[str], str] = str) -> AsyncGenerator[Front]:
    """Run nginx before the servers. It has nowhere to spill to: what it would write to a temporary file fails."""
    nginx = need("nginx")
    main, secure, plain, pair = configure(folder, servers, change)
    process = await asyncio.create_subprocess_exec(
        nginx, "-p", str(folder), "-c", str(main), stderr=asyncio.subprocess.DEVNULL, env={**os.environ}
    )
    try:
        await until_written(folder / "main.log", _LISTENS)
        shutil.rmtree(folder / "spilled")
        yield Front(f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}", pair, folder)
    finally:
        process.terminate()
        await process.wait()
