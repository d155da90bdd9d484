"""The proof of forgetting: no word, customer or token reaches a write system call, a file, a log line or a metric.

The real server runs under strace while seeded dialogs end in every way that there is. What is stored in the clear, a
plain line of log and a token in an unlinked file are the positive controls: if they are not found, the search is blind.
"""

import asyncio
import os
import random
import re
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from consentful import wire
from logs import until_written
from needs import need
from ports import free_port

NEVER: Final = (
    *("splice", "tee", "vmsplice", "copy_file_range", "memfd_create", "process_vm_writev"),
    *("setxattr", "fsetxattr", "symlinkat", "linkat"),
)
"""Calls that carry bytes where strace cannot show them, or to places where nobody looks: so there must be none.

io_uring would be another; the server keeps libuv from using it for files, and then it carries changes of epoll only.
"""

CALLS: Final = ",".join(
    (
        *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "sendfile"),
        *("mmap", "msync", "ftruncate", "fallocate", "openat", "open", "creat", "mkdir", "mkdirat", "mknodat"),
        *("rename", "renameat", "renameat2", "link", "symlink", "unlink", "unlinkat", "execve"),
        *NEVER,
    )
)
OWN_FILES: Final = re.compile(rb"/(data/consentful\.db(-wal|-shm|-journal)?|data/reserve|keys(/[\w.-]+)?|log)$")
"""Where the server may write to: its database with log and index, its reserve, its keys and ledger, and its log."""

DEVICES: Final = (b"/dev/null",)
WRITES: Final = re.compile(
    rb" (?:p?write(?:64|v2?)?|sendfile|ftruncate|fallocate)\(\d+<(?P<path>[^>]*)>"
    rb"| mmap\([^<]*PROT_WRITE[^<]*MAP_SHARED[^<]*, \d+<(?P<shared>[^>]*)>"
)

FRAMES: Final[dict[str, type[msgspec.Struct]]] = {"open": wire.Open, "message": wire.Message, "consent": wire.Consent}


class Traced:
    """`consentful serve` under strace, with temporary folders of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.trace = home / "trace"
        self.log = home / "log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.control = f"CONTROL{secrets.token_hex(8)}"
        self.live = f"{self.url}/v1/dialogs/live"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        strace = need("strace")
        where = {
            "port": self.port,
            "data-dir": self.home / "data",
            "keys-dir": self.home / "keys",
            "log-level": "debug",
        }
        (self.home / "tmp").mkdir()
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(strace, "-f", "-y", "-qq", "-s", "200000", "-e", f"trace={CALLS}", "-o", str(self.trace)),
                *(sys.executable, str(Path(__file__).with_name("faulty.py")), "serve"),
                *(f"--{name}={value}" for name, value in where.items()),
                "--auth=keys",
                "--idle-timeout=5",  # more than a traced server needs for one frame of a dialog that is not idle
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.home / "tmp"), "CONTROL": self.control},
                start_new_session=True,
            )
        try:
            await until_written(self.log, b"serving")
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the last dialog is cut off by a crash
            await process.wait()


class Chatbot:
    """Ends dialogs in one way or another; every value that it sends carries the marker."""

    def __init__(self, server: Traced, http: aiohttp.ClientSession, marker: str, token: str) -> None:
        self.server = server
        self.http = http
        self.marker = marker
        self.headers = {"Authorization": f"Bearer {token}"}
        self.stored: list[str] = []

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
        async with self.http.ws_connect(self.server.live, headers=self.headers) as socket_:
            await socket_.send_json(
                {"type": "open", "customer_id": f"customer {self.marker}", "metadata": {self.marker: self.marker}}
            )
            assert (await socket_.receive_json())["type"] == "opened"
            for seq in range(1, 4):
                await socket_.send_json({"type": "message", "seq": seq, "text": f"{seq} {self.marker} " * 20})
                assert (await socket_.receive_json())["type"] == "ack"
            yield socket_

    async def decide(self, granted: bool) -> None:
        async with self.opened() as socket_:
            await socket_.send_json({"type": "consent", "granted": granted, "last_seq": 3})
            answer = await socket_.receive_json()
            assert answer["type"] == ("stored" if granted else "discarded")
            if granted:
                self.stored.append(answer["dialog_id"])

    async def granted(self) -> None:
        await self.decide(granted=True)

    async def declined(self) -> None:
        await self.decide(granted=False)

    async def dropped(self) -> None:
        async with self.opened():
            pass

    async def cut(self) -> None:
        async with self.opened() as socket_:
            transport = socket_.get_extra_info("socket")
            assert transport is not None
            transport.shutdown(socket.SHUT_RDWR)

    async def idle(self) -> None:
        async with self.opened() as socket_:
            async for _ in socket_:
                pass
            assert socket_.close_code == 4508

    async def malformed(self) -> None:
        async with self.opened() as socket_:
            for frame in (
                self.marker,
                f'{{"type":"{self.marker}"}}',
                f'{{"type":"message","seq":4,"text":"{self.marker}","{self.marker}":1}}',
                f'{{"type":"message","seq":4,"text":"{self.marker}","language":"{self.marker}!"}}',
                f'{{"type":"message","seq":9,"text":"{self.marker}"}}',
                f'{{"type":"consent","granted":true,"last_seq":3,"notice":"{self.marker}"}}',
                f'{{"type":"consent","granted":true,"last_seq":3,"purposes":["{self.marker}"]}}',
                f'{{"type":"consent","granted":true,"last_seq":2,"notice":"{self.marker}"}}',
            ):
                await socket_.send_str(frame)
                assert (await socket_.receive_json())["type"] == "error"

    async def malformed_in_every_field(self) -> None:
        """Put what does not belong there into each field of each frame."""
        for tag, kind in FRAMES.items():
            for field in kind.__struct_fields__:
                async with self.opened() as socket_:
                    for wrong in ({self.marker: self.marker}, [self.marker], f"{self.marker} " * 2000):
                        whole = {
                            "type": tag,
                            "customer_id": "c",
                            "seq": 4,
                            "text": "Hi",
                            "granted": True,
                            "last_seq": 3,
                        }
                        given = {
                            name: value for name, value in whole.items() if name in ("type", *kind.__struct_fields__)
                        }
                        await socket_.send_json(given | {field: wrong})
                        answer = await socket_.receive_json()
                        if answer["type"] != "error":  # a long text is none too long
                            assert (answer["type"], field) == ("ack", "text")

    async def broken(self) -> None:
        """Have the server raise an exception that carries the words."""
        async with self.opened() as socket_:
            await socket_.send_json({"type": "message", "seq": 4, "text": f"break {self.marker}"})
            assert (await socket_.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket_.close_code == 1011
        url = f"{self.server.url}/data/customer-{self.marker}/{secrets.token_hex(8)}"
        async with self.http.post(url, headers=self.headers, json={"text": f"break {self.marker}"}) as response:
            assert response.status == 500

    async def oversized(self) -> None:
        async with self.opened() as socket_:
            await socket_.send_json({"type": "message", "seq": 4, "text": self.marker * 4000})
            assert (await socket_.receive_json())["code"] == "limit"
            await socket_.send_str(self.marker * 30_000)
            assert (await socket_.receive()).type is aiohttp.WSMsgType.CLOSE

    async def bad_token(self) -> None:
        for headers in ({"Authorization": f"Bearer {self.marker}"}, {"Authorization": f"Basic {self.marker}"}):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await self.http.ws_connect(self.server.live, headers=headers)
        async with self.http.ws_connect(
            self.server.live, protocols=("consentful.v1.json", f"bearer.{self.marker}")
        ) as socket_:
            assert (await socket_.receive_json())["code"] == "unauthenticated"
        async with self.http.get(f"{self.server.url}/v1/messages?token={self.marker}&q={self.marker}") as response:
            assert response.status == 401

    async def bad_query(self) -> None:
        # Not as a parameter's name: a 400 names it, to whoever sent it and nobody else.
        for query in (f"q={self.marker}", f"limit={self.marker}", f"cursor={self.marker}", f"since={self.marker}"):
            async with self.http.get(f"{self.server.url}/v1/messages?{query}", headers=self.headers) as response:
                assert response.status == 400
        body: dict[str, Any] = {"q": self.marker, "customer_id": self.marker}
        url = f"{self.server.url}/v1/messages/search"
        async with self.http.post(url, json={**body, "role": self.marker}, headers=self.headers) as response:
            assert response.status == 400

    async def pushed(self) -> None:
        dialog_id = secrets.token_hex(8)
        url = f"{self.server.url}/data/customer-{self.marker}/{dialog_id}"
        async with self.http.post(url, headers=self.headers, data={"text": self.marker, "language": "EN"}) as response:
            assert response.status == 201
        async with self.http.post(url, headers=self.headers, json={"text": self.marker}) as response:
            assert response.status == 201
        other = f"{url}-refused"  # a dialog that lost something can no longer be granted
        async with self.http.post(other, data=aiohttp.MultipartWriter("form-data"), headers=self.headers) as response:
            assert response.status == 415
        form = aiohttp.FormData()
        form.add_field("text", self.marker * 9000, filename="upload", content_type="text/plain")
        async with self.http.post(other, data=form, headers=self.headers) as response:
            assert response.status == 415
        granted = random.choice(("true", "false", f'"{self.marker}"'))
        async with self.http.post(
            f"{self.server.url}/consents/{dialog_id}", data=granted, headers=self.headers
        ) as answer:
            assert answer.status in {200, 400}

    async def searched(self) -> None:
        """Look for words and a customer that are not there, so that only the access log could tell them."""
        for path, body in (
            ("/v1/messages/search", {"q": f"{self.marker} nowhere", "customer_id": f"nobody {self.marker}"}),
            ("/v1/dialogs:search", {"metadata": {"nowhere": self.marker}}),
            ("/v1/access-log/search", {"customer_id": f"nobody {self.marker}"}),
        ):
            async with self.http.post(self.server.url + path, json=body, headers=self.headers) as response:
                assert response.status == 200
        asked = {"kind": "erasure", "customer_id": f"nobody {self.marker}"}
        async with self.http.post(
            f"{self.server.url}/v1/privacy-requests", json=asked, headers=self.headers
        ) as response:
            assert response.status == 201
        url = f"{self.server.url}/data?customerId=nobody-{self.marker}"
        async with self.http.get(url, headers=self.headers) as response:
            assert response.status == 200

    async def guessed(self) -> None:
        """Try to withdraw with what is no code."""
        async with self.http.post(f"{self.server.url}/v1/withdrawals", json={"code": self.marker}) as response:
            assert response.status in {404, 429}
        async with self.http.post(f"{self.server.url}/withdraw", data={"code": self.marker}) as response:
            assert response.status in {404, 429}

    def ways(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.granted,
            self.declined,
            self.dropped,
            self.cut,
            self.malformed,
            self.malformed_in_every_field,
            self.broken,
            self.searched,
            self.guessed,
            self.oversized,
            self.bad_token,
            self.bad_query,
            self.pushed,
        ]


async def prove(home: Path, dialogs: int) -> None:
    marker, seed = f"MARKER{secrets.token_hex(8)}", 20260101
    chance = random.Random(seed)
    began = time.time()
    server = Traced(home)
    async with server.running(), aiohttp.ClientSession() as http:
        token = next(line for line in server.log.read_text().splitlines() if line.startswith("cfl_"))
        chatbot = Chatbot(server, http, marker, token)
        await chatbot.granted()
        at_once = asyncio.Semaphore(8)

        async def one(way: Callable[[], Awaitable[None]]) -> None:
            async with at_once:
                await way()

        ways = chatbot.ways()
        chosen = [*ways, *chance.choices(ways, k=dialogs)]
        await asyncio.gather(*map(one, chosen), *(chatbot.idle() for _ in range(3)))
        async with http.get(f"{server.url}/metrics") as response:
            metrics = await response.text()
        for _ in range(5):  # killed in the middle
            await chatbot.opened().__aenter__()
    secret = token.split("_", 2)[2]  # which may have underscores of its own
    trace = server.trace.read_bytes()
    assert_not_blind(trace, home, chatbot.stored)
    assert_written_only_where_it_may(trace, server.control)
    for needle in (marker, secret):
        lines = [line for line in trace.splitlines() if needle.encode() in line]
        lines = [line for line in lines if not is_start(line, needle, secret) and not is_own_field(line)]
        assert lines == [], f"{needle} was written: {lines[0][:300]!r}"
        assert needle not in metrics
        files = [path for path in written_since(began, home) if has(path, needle.encode())]
        assert files == [], f"{needle} is in {files}"
    assert marker not in server.log.read_text()
    for call in NEVER:
        assert f" {call}(".encode() not in trace, call


def assert_not_blind(trace: bytes, home: Path, stored: list[str]) -> None:
    """See that the search finds what is written: ids are, in the database and in its log."""
    assert stored
    in_files = b"".join(path.read_bytes() for path in (home / "data").iterdir())
    assert any(dialog_id.encode() in in_files for dialog_id in stored)
    pwrites = b"".join(line for line in trace.splitlines() if b" pwrite64(" in line)
    assert any(dialog_id.encode() in pwrites for dialog_id in stored)
    assert b"Created the first API key" in trace  # a plain line of log
    shared = [call["shared"] for line in trace.splitlines() if (call := WRITES.search(line))]
    assert any(path and path.endswith(b"-shm") for path in shared)


def assert_written_only_where_it_may(trace: bytes, control: str) -> None:
    """See that all that was written went into files of the server's own, or through sockets and pipes.

    The one stranger is the control, in a file that was unlinked before anything was written to it.
    """
    strangers: set[bytes] = set()
    for line in trace.splitlines():
        if call := WRITES.search(line):
            path = (call["path"] or call["shared"]).removesuffix(b" (deleted)")
            if path.startswith(b"/") and not OWN_FILES.search(path) and path not in DEVICES:
                strangers.add(line)
    assert len(strangers) == 1, strangers
    assert control.encode() in strangers.pop()


def is_start(line: bytes, needle: str, secret: str) -> bool:
    """Whether this is the one line that prints the first key, which is what it is for."""
    return needle == secret and b" write(2<" in line and b"cfl_" in line


def is_own_field(line: bytes) -> bool:
    """Whether this is the answer of the withdrawal page, which shows a wrong code in its field to whoever typed it."""
    return b"write(" in line and b"<socket:" in line and b"HTTP/1.1 404" in line and b"aria-invalid" in line


def written_since(began: float, home: Path) -> list[Path]:
    """Return the files that the server could have written: its folders, and what is new in the system's."""
    found: list[Path] = []
    for folder in (home / "data", home / "keys", home / "tmp", Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):
        for path in folder.iterdir():
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime >= began - 1 and os.access(path, os.R_OK):
                    found.append(path)
    return found


def has(path: Path, needle: bytes) -> bool:
    """Return whether the file has the needle; a file of another process may be gone by now."""
    try:
        return needle in path.read_bytes()
    except FileNotFoundError:
        return False


async def test_nothing_that_was_said_is_written_anywhere(tmp_path: Path) -> None:
    await prove(tmp_path, dialogs=40)


@pytest.mark.prove
async def test_nothing_that_was_said_is_written_anywhere_in_a_thousand_dialogs(tmp_path: Path) -> None:
    await prove(tmp_path, dialogs=1000)
