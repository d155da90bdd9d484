"""Words are contraband: whatever goes wrong, no log line, error, close reason or metric carries what was sent."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiohttp import ClientSession, WSMsgType

from all_routes import every_route
from consentful import wire
from consentful.wire import Consent, Message, Open
from consentful_server import errors
from consentful_server.dialogs.registry import Holder
from consentful_server.edges.http import faults
from consentful_server.errors import StorageFailed
from consentful_server.testing import FakeClock, Served
from documented import served
from kept import bearer, eventually, messages
from live import PATH, Live, connect
from logs import shipped
from raw import CLOSE, UPGRADE, exchange

MARKER = "contraband4711"
MARK = MARKER.encode()


class Log:
    """Everything that was logged, at any level, as the server would write it and as records hold it."""

    def __init__(self, caplog: pytest.LogCaptureFixture, shipped: logging.Formatter) -> None:
        self._caplog = caplog
        self._shipped = shipped

    def __str__(self) -> str:
        return "\n".join(
            f"{record.getMessage()} {self._without_error(record)} {self._shipped.format(record)}"
            for record in self._caplog.records
        )

    @staticmethod
    def _without_error(record: logging.LogRecord) -> dict[str, object]:
        """Return the record's fields but the exception, which the shipped formatter reduces to its kind and place."""
        return {name: value for name, value in vars(record).items() if name not in ("exc_info", "exc_text")}

    def __len__(self) -> int:
        return len(self._caplog.records)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Generator[Log]:
    with shipped("json") as formatter, caplog.at_level(logging.DEBUG):
        yield Log(caplog, formatter)


async def everything(live: Live) -> str:
    """Return every frame until the connection ends, and the reason it was closed with."""
    told: list[str] = []
    async with asyncio.timeout(10):
        while True:
            message = await live.socket.receive()
            told.append(f"{message.type} {message.data} {message.extra}")
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return "\n".join(told)


def test_the_log_would_show_a_leak(log: Log) -> None:
    logging.getLogger("anything").debug("%s", MARKER)

    assert MARKER in str(log)


def test_an_exceptions_words_are_not_written(log: Log) -> None:
    try:
        raise ValueError(MARKER)
    except ValueError:
        logging.getLogger("anything").exception("it failed")

    assert len(log) == 1
    assert MARKER not in str(log)


BAD = [
    MARK,
    b'{"type":"' + MARK + b'"}',
    b'{"type":"open","customer_id":"' + MARK + b'","' + MARK + b'":1}',
    b'{"type":"open","customer_id":["' + MARK + b'"]}',
    b'{"type":"open","customer_id":"c","language":"' + MARK + b'"}',
    b'{"type":"open","customer_id":"c","language":"x ' + MARK + b'"}',
    b'{"type":"open","customer_id":"c","bot":"\\u0000' + MARK + b'"}',
    b'{"type":"open","customer_id":"c","dialog_id":"/' + MARK + b'"}',
    b'{"type":"open","customer_id":"c","metadata":{"' + MARK + b'":1}}',
    b'{"type":"open","customer_id":"c","metadata":{"k":"' + MARK * 400 + b'"}}',
    b'{"type":"message","seq":1,"text":"' + MARK + b'","role":"' + MARK + b'"}',
    b'{"type":"message","seq":1,"text":"' + MARK + b'","sent_at":"' + MARK + b'"}',
    b'{"type":"message","seq":1,"text":"' + MARK + b'\\ud800"}',
    b'{"type":"consent","granted":"' + MARK + b'","last_seq":1}',
    b'{"type":"consent","granted":true,"last_seq":1,"purposes":["' + MARK + b' "]}',
    b'{"type":"consent","granted":true,"last_seq":1,"given_by":"' + MARK + b'"}',
]


class TestLive:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"max_text_bytes": 64, "log_level": "debug"}

    async def marked(self, live: Live, dialog_id: str = "d-1") -> None:
        await live.open(MARKER, dialog_id=dialog_id, metadata={MARKER: MARKER}, bot="shop")
        await live.say(MARKER)

    async def test_no_refused_frame_is_told_or_logged(
        self, dial: Callable[..., Any], log: Log, http: ClientSession
    ) -> None:
        one, two = await dial(), await dial(protocols=[wire.MSGPACK])
        await self.marked(two)
        for bad in BAD:
            await one.send_raw(bad)
            await two.send_raw(bad)
        for frame in (
            Message(9, MARKER),
            Message(2, MARKER * 9),
            Message(2, MARKER, language="notalanguage"),
            Open(MARKER),
            Consent(True, 9),
            Consent(True, 1, notice=MARKER),
            Consent(True, 1, purposes=[MARKER]),
        ):
            await two.send(frame)
        for live in (one, two):
            for _ in range(9):
                await live.send_raw(MARK)
            assert MARKER not in await everything(live)

        await self.check(http, log)

    async def test_no_ending_is_told_or_logged_with_words(
        self,
        dial: Callable[..., Any],
        http: ClientSession,
        service: Served,
        clock: FakeClock,
        log: Log,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def fails(*_: object) -> None:
            raise RuntimeError(MARKER)

        conflict, superseded, newest, broken, idle, bad_text, big, gone = [await dial() for _ in range(8)]
        await self.marked(superseded)
        await self.marked(newest)
        await conflict.send(Open(f"{MARKER} another", "d-1"))
        assert MARKER not in await everything(conflict)
        assert MARKER not in await everything(superseded)
        await newest.grant()
        await newest.closed()

        await self.marked(broken, "d-2")
        with monkeypatch.context() as patched:
            patched.setattr(service.service.archive, "keep", fails)
            await broken.send(Consent(True, 1))
            assert MARKER not in await everything(broken)
        await self.marked(bad_text, "d-3")
        await bad_text.send_raw(b'{"type":"' + MARK + b'\xff"}')
        assert MARKER not in await everything(bad_text)
        await self.marked(big, "d-4")
        await big.send_raw(MARK * 100_000)
        assert MARKER not in await everything(big)
        await self.marked(gone, "d-5")
        await gone.socket.close(code=4321, message=MARK)
        await self.marked(idle, "d-6")
        clock.advance(1000)
        service.service.registry.tick(clock.monotonic())
        assert MARKER not in await everything(idle)

        again = await dial()
        await again.open(MARKER, dialog_id="d-1")
        await again.decline()
        await again.closed()
        erased = await dial()
        await self.marked(erased)
        await erased.send(Consent(True, 1))
        assert MARKER not in await everything(erased)
        await eventually(lambda: len(service.service.registry) == 0)
        assert len(log) > 0
        await self.check(http, log)

    async def test_no_repr_shows_words(
        self, dial: Callable[..., Any], service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        holders: list[Holder] = []
        claim = service.service.registry.claim

        def claiming(dialog_id: str, holder: Holder) -> asyncio.Event | None:
            holders.append(holder)
            return claim(dialog_id, holder)

        monkeypatch.setattr(service.service.registry, "claim", claiming)
        await self.marked(await dial())

        (holder,) = holders
        assert repr(holder) == "HeldDialog(Dialog(id='d-1', messages=1))"

    async def check(self, http: ClientSession, log: Log) -> None:
        assert MARKER not in str(log)
        async with http.get("/metrics") as response:
            assert MARKER not in await response.text()


class TestEveryCode:
    """Every refusal of a server, raised where words are at hand and because of an error that quotes them."""

    REFUSALS: Final = [
        errors.OutOfOrder("send `open` first"),
        errors.Gap(1),
        errors.OverLimit("max_text_bytes", 1, 1),
        errors.Incomplete(1),
        errors.Empty(),
        errors.UnknownNotice(),
        errors.UnknownPurpose(),
        errors.StorageFailed(),
        errors.Conflict(),
        errors.KeyReused(),
        errors.KeyInUse(),
        errors.Erased(MARKER, datetime(2026, 1, 1, tzinfo=UTC)),
        errors.OutcomeUnknown(),
        errors.Overloaded(),
        errors.TooOften(1),
        errors.ProviderDown(),
        errors.Unauthenticated(),
        errors.TokenExpired(),
        errors.Forbidden("the scope privacy"),
        errors.BadRequest("q", "a text"),
        errors.Lost("idle", dropped=True),
        errors.NotFound(),
        errors.Restored(),
        errors.Stale(),
        errors.Damaged("d-1"),
        errors.NotOpen(),
        errors.Unsupported("not with several workers"),
        errors.ChoresFailing(["retention"]),
        errors.NotAcceptable("application/json"),
        errors.WrongMediaType("application/json"),
    ]

    def test_there_is_one_of_each(self) -> None:
        assert {refusal.code for refusal in self.REFUSALS} == set(faults.FAULTS)

    @pytest.mark.parametrize("settings", [{"log_level": "debug"}])
    async def test_none_is_told_or_logged_with_what_led_to_it(
        self,
        http: ClientSession,
        dial: Callable[..., Any],
        service: Served,
        log: Log,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        raised: list[errors.Refusal] = []

        async def fails(*_: object, **__: object) -> None:
            words = f"{MARKER} in a local variable"
            raise raised[-1] from ValueError(words)

        for part in ("messages", "chats", "dialogs", "dialog", "latest"):
            monkeypatch.setattr(service.service.pages, part, fails)
        monkeypatch.setattr(service.service.archive, "keep", fails)
        for number, refusal in enumerate(self.REFUSALS):
            raised.append(refusal)
            for path in ("/v1/messages", "/v1/dialogs", f"/v1/dialogs/{MARKER}", "/data"):
                async with http.get(path) as response:
                    told = f"{await response.text()} {response.headers}"
                    assert (response.status, json.loads(await response.text())["code"]) == (
                        faults.fault_of(refusal).status,
                        refusal.code,
                    )
                    assert MARKER not in told
            live = await dial()
            await live.open(MARKER, dialog_id=f"{MARKER}-{number}")
            await live.say(MARKER)
            await live.send(Consent(True, 1))
            error = await live.receive(wire.Error)
            assert MARKER not in str(msgspec.to_builtins(error))
            await live.socket.close()

        await eventually(lambda: len(service.service.registry) == 0)
        assert MARKER not in str(log)
        async with http.get("/metrics") as response:
            assert MARKER not in await response.text()


class TestDebugging:
    """asyncio's debug mode writes down what takes long: here, everything that the loop runs."""

    def test_the_loop_shows_no_words(self, founded: Path, tmp_path: Path, log: Log) -> None:
        shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
        with served(tmp_path, debug=True) as url:
            self.talk(url)

        written = str(log)
        assert "Executing" in written
        assert MARKER not in written

    def talk(self, url: str) -> None:
        """Say, keep, read, search, stream and erase the marker, in a loop of our own, which is not watched."""

        async def talking() -> None:
            async with ClientSession(url) as http:
                async with connect(http, "") as live:
                    await live.open(MARKER, dialog_id="d-1", metadata={MARKER: MARKER})
                    for _ in range(5):
                        await live.say(MARKER)
                    await live.send_raw(MARK)
                    await live.receive(wire.Error)
                    await live.grant()
                    await live.closed()
                assert MARKER in str(await messages(http))
                for path in ("/v1/messages?format=ndjson", "/v1/messages?format=csv", "/data", "/v1/dialogs/d-1"):
                    async with http.get(path) as response:
                        assert MARKER in await response.text()
                asked = {"q": MARKER, "customer_id": MARKER, "dialog_ids": ["d-1"], "metadata": {MARKER: MARKER}}
                for path, include in (("/v1/messages/search", {}), ("/v1/dialogs:search", {"include": "first_text"})):
                    async with http.post(path, json=asked | include) as response:
                        assert MARKER in await response.text()
                body = {"kind": "erasure", "customer_id": MARKER}
                async with http.post("/v1/privacy-requests", json=body) as response:
                    assert response.status == 201

        asyncio.run(talking())


class TestHttp:
    @pytest.mark.parametrize("settings", [{"auth": "keys", "log_level": "debug"}])
    async def test_no_refusal_carries_what_was_sent(self, http: ClientSession, service: Served, log: Log) -> None:
        good = await service.create_key()
        bodies: list[tuple[bytes, str]] = [
            (MARK, "application/json"),
            (json.dumps({MARKER[:3]: MARKER}).encode(), "application/json"),
            (
                json.dumps({"text": [MARKER], "code": [MARKER], "q": [MARKER], "kind": MARKER}).encode(),
                "application/json",
            ),
            (json.dumps({"text": "x", "language": MARKER}).encode(), "application/json"),
            (json.dumps({"code": MARKER}).encode(), "application/json"),
            (json.dumps({"kind": "erasure", "customer_id": [MARKER]}).encode(), "application/json"),
            (b"text=%ff" + MARK, "application/x-www-form-urlencoded"),
            (b"code=" + MARK, "application/x-www-form-urlencoded"),
            (MARK, f"{MARKER}/{MARKER}"),
            (MARK * 50_000, "application/json"),
        ]
        queries = [
            "",
            *(f"?{name}={MARKER}%20" for name in ("language", "customer", "role", "since", "cursor", "limit")),
        ]
        queries += [f"?q={MARKER}", f"?customer_id={MARKER}", f"?format={MARKER}", f"?role={MARKER}&role={MARKER}"]
        for method, path in every_route(MARKER):
            for token in (MARKER, f"cfl_{MARKER}_{MARKER}", good):
                for query in queries if method == "GET" else [""]:
                    for body, content_type in bodies if method == "POST" else [(b"", "text/plain")]:
                        headers = bearer(token) | {"Content-Type": content_type, "X-Marked": MARKER}
                        async with http.request(
                            method, path + query, data=body, headers=headers, allow_redirects=False
                        ) as response:
                            if response.status >= 400:  # one of the others has no end
                                answer = f"{await response.text()} {response.headers} {response.reason}"
                                if path == "/withdraw":  # a wrong code stays in its field, before whoever typed it
                                    answer = answer.replace(f' value="{MARKER}"', "")
                                assert MARKER not in answer, (method, path, query, body[:80])
        assert MARKER not in str(log)
        async with http.get("/metrics") as response:
            assert MARKER not in await response.text()

    async def test_a_fault_of_ours_tells_and_logs_no_words(
        self, http: ClientSession, service: Served, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*_: object, **__: object) -> None:
            raise RuntimeError(MARKER) from ValueError(MARKER)

        for part in ("messages", "dialogs", "dialog", "latest"):
            monkeypatch.setattr(service.service.pages, part, fails)
        for part in ("erase", "keep"):
            monkeypatch.setattr(service.service.archive, part, fails)
        assert (await http.post("/data/c-1/d-1", json={"text": MARKER})).status == 201
        for method, path in (
            ("GET", "/v1/messages"),
            ("GET", "/v1/dialogs"),
            ("GET", "/v1/dialogs/d-1"),
            ("DELETE", "/v1/dialogs/d-1"),
            ("GET", "/data"),
        ):
            async with http.request(method, path) as response:
                assert response.status == 500
                assert MARKER not in await response.text()
        async with http.post("/consents/d-1", json=True) as response:
            assert response.status == 500
            assert MARKER not in await response.text()

        assert "RuntimeError" in str(log)
        assert MARKER not in str(log)

    async def test_a_failing_store_logs_no_words(
        self, http: ClientSession, service: Served, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*_: object, **__: object) -> None:
            raise StorageFailed from ValueError(MARKER)

        monkeypatch.setattr(service.service.store.dialogs, "keep", fails)
        await http.post("/data/c-1/d-1", json={"text": MARKER})

        async with http.post("/consents/d-1", json=True) as response:
            assert response.status == 503
            assert MARKER not in await response.text()
        assert MARKER not in str(log)

    @pytest.mark.parametrize(
        "sent",
        [
            MARK + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /" + MARK + b" HTTP/9.9\r\nHost: localhost\r\n\r\n",
            b"GET /" + MARK + b" " + MARK + b"\r\nHost: localhost\r\n\r\n",
            b"GET /" + MARK + b"\xff\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + MARK + b"\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + MARK + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + MARK * 1000 + b"\r\n\r\n",
            b"GET /" + MARK * 1000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"POST /data/c/d HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + MARK + b"\r\n\r\n",
            b"POST /data/c/d HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + MARK + b"\r\n",
            b"POST /data/c/d HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: " + MARK + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: " + MARK + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: " + MARK + b"\r\n\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: " + MARK + b"\r\n\r\n",
            b"POST /data/c/d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: deflate\r\n"
            b"Content-Length: 14\r\n\r\n" + MARK,
        ],
    )
    async def test_what_is_no_http_is_refused_without_an_echo(self, service: Served, log: Log, sent: bytes) -> None:
        answer = await exchange(service.url, sent)

        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer
        assert MARK not in answer
        assert MARKER not in str(log)

    async def test_a_refused_handshake_logs_and_tells_nothing(self, service: Served, log: Log) -> None:
        for name in (*UPGRADE, "Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie"):
            headers = UPGRADE | {name: f"{MARKER}, {MARKER}"}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            answer = await exchange(
                service.url, f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode() + CLOSE
            )
            assert answer.startswith((b"HTTP/1.1 101", b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 403"))
            assert MARK not in answer
        assert MARKER not in str(log)
