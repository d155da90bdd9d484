"""The address of the service, the token, and the way from both to an upgraded socket."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from typing import Final, Literal, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

import aiohttp
from aiohttp import hdrs
from yarl import URL

from . import close_codes, wire
from .clock import Clock
from .close_codes import Lost
from .connection import Connection, Socket
from .errors import ConsentfulError, Refused, Unauthorised

Encoding: TypeAlias = Literal["json", "msgpack"]
Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
TLS: TypeAlias = SSLContext | aiohttp.Fingerprint | bool

_OFFERS: Final = {"json": (wire.JSON,), "msgpack": (wire.MSGPACK, wire.JSON)}
_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=2.0)  # pyright: ignore[reportCallIssue] - an attrs class
_held: Final[WeakKeyDictionary[aiohttp.BaseConnector, WeakSet[Socket]]] = WeakKeyDictionary()
"""The sockets of live dialogs by connector, of which aiohttp does not tell how many connections are in use."""
_MOST_BYTES: Final = 1024 * 1024
"""Larger than any frame of a server; the largest contains a notice."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One service, with the credentials and settings of one dialog."""

    url: URL
    token: Token | None = field(repr=False)
    encoding: Encoding
    ssl: TLS
    heartbeat: float
    clock: Clock = field(repr=False)
    session: aiohttp.ClientSession | None = field(repr=False)

    @asynccontextmanager
    async def http(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """Lend the caller's HTTP session, or a new one without cookies that is closed afterwards."""
        if self.session is not None:
            yield self.session
            return
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # each dialog holds its connection to its end
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
        ) as session:
            yield session

    async def connect(self, session: aiohttp.ClientSession) -> Connection:
        """Return a new connection on which nothing was sent yet. A token callback is called again after a 401.

        Raises:
            Lost: If another try may succeed.
            ConsentfulError: If the server refuses.
        """
        outcome = await self._upgrade(session)
        if isinstance(outcome, Unauthorised) and callable(self.token):
            outcome = await self._upgrade(session)  # the first token may just have expired
        if isinstance(outcome, Connection):
            return outcome
        raise outcome  # outside of `except`: aiohttp's exception has the request, and so the token, as its context

    async def _upgrade(self, session: aiohttp.ClientSession) -> Connection | Lost | ConsentfulError:
        """Return a connection, or the reason why there is none."""
        headers = await bearer(self.token)
        try:
            socket = await session.ws_connect(
                self.url,
                protocols=_OFFERS[self.encoding],
                headers=headers,
                heartbeat=self.heartbeat,
                timeout=_TIMEOUT,
                max_msg_size=_MOST_BYTES,
                ssl=self.ssl,
                decode_text=False,  # msgspec decodes bytes
            )
        except aiohttp.WSServerHandshakeError as refusal:
            retry_after = refusal.headers.get(hdrs.RETRY_AFTER, "") if refusal.headers else ""
            return close_codes.of_status(refusal.status, seconds_of(retry_after, self.clock.now()))
        except aiohttp.ClientConnectorCertificateError:
            return Refused("the server's certificate is not trusted; pass `ssl`, or fix the certificate", "certificate")
        except aiohttp.ClientConnectorError as error:
            return Lost(str(error))  # contains host, port and the system's reason, nothing secret
        except (aiohttp.ClientError, OSError) as error:
            return Lost(type(error).__name__)
        if session.connector is not None:
            _held.setdefault(session.connector, WeakSet()).add(socket)
        return Connection(socket, wire.CODECS[socket.protocol or wire.JSON])

    def shortage(self) -> str | None:
        """Return why the caller's session has no connection left for another dialog; None if it has."""
        connector = None if self.session is None else self.session.connector
        if connector is None:
            return None
        limits = {"limit": connector.limit, "limit_per_host": connector.limit_per_host}
        dialogs = sum(not socket.closed for socket in _held.get(connector, ()))
        for name, limit in limits.items():
            if 0 < limit <= dialogs:
                return f"{dialogs} dialogs hold all connections of the session's connector; pass it {name}=0"
        return None


async def bearer(given: Token | None) -> dict[str, str]:
    """Return the Authorization header with a fresh token (RFC 6750 §2.1); empty without a token.

    Raises:
        Lost: If the token callback failed.
        Unauthorised: If the callback raised it.
    """
    token = await _fetch(given) if callable(given) else given
    return {} if token is None else {hdrs.AUTHORIZATION: f"Bearer {token.strip()}"}


async def _fetch(callback: Callable[[], str | Awaitable[str]]) -> str:
    """Return the callback's token. A callback that is not `async` may block, so it is called in a thread."""
    try:
        given = callback() if inspect.iscoroutinefunction(callback) else await asyncio.to_thread(_called, callback)
        return given if isinstance(given, str) else await given
    except Unauthorised:
        raise
    except Exception as error:  # any error of the callback may be temporary
        raise Lost(f"the token callback failed: {type(error).__name__}") from error


def _called(callback: Callable[[], str | Awaitable[str]]) -> str | Awaitable[str]:
    try:
        return callback()
    except StopIteration as error:  # no future can carry it, so whoever awaits the thread would wait for ever
        raise RuntimeError("the token callback has no further token") from error


def live_url(base: str) -> URL:
    """Return the URL for live dialogs at a service.

    Raises:
        ValueError: As `service_url`.
    """
    return service_url(base) / "v1" / "dialogs" / "live"


def http_url(base: str) -> URL:
    """Return the service's URL with the scheme http or https.

    Raises:
        ValueError: As `service_url`.
    """
    url = service_url(base)
    return url.with_scheme({"ws": "http", "wss": "https"}.get(url.scheme, url.scheme))


def service_url(base: str) -> URL:
    """Parse the URL of a service.

    Raises:
        ValueError: If it is not a ws, wss, http or https URL, or carries credentials, a query or a fragment.
    """
    url = URL(base)
    if url.scheme not in ("ws", "wss", "http", "https") or not url.host:
        raise ValueError("the url must start with ws://, wss://, http:// or https:// and name a host")
    if url.user or url.password or url.query_string or url.fragment:
        raise ValueError("the url must not carry credentials, a query or a fragment; URLs are logged: pass `token`")
    return url


def seconds_of(retry_after: str, now: datetime) -> float:
    """Return the seconds of a Retry-After header (RFC 9110 §10.2.3); 0 if it is absent or malformed."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
