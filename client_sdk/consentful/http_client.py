"""The reader's HTTP client: a request gets one complete answer, and is retried while the failure may be temporary.

A stream is passed on as it arrives, in constant memory. HTTP alone does not tell that it is complete: its digest is
compared with the manifest that the service keeps.
"""

import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from . import close_codes
from .backoff import Backoff
from .clock import Clock
from .close_codes import Lost
from .endpoint import TLS, Token, bearer, seconds_of
from .errors import ConsentfulError, Forbidden, Refused, Unauthorised, Unavailable
from .filters import Asked

T = TypeVar("T")

# No total: a stream may take hours, as long as bytes arrive.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=60.0)
_CHUNK_BYTES: Final = 256 * 1024
_DONE: Final = frozenset({200, 201, 204})

_log: Final = logging.getLogger("consentful")


class _Problem(msgspec.Struct):
    """A problem document (RFC 9457)."""

    code: str
    detail: str = ""


class _Manifest(msgspec.Struct):
    """What the service says it sent."""

    complete: bool
    sha256: str | None
    rows: int | None = None


class Altered(Lost):
    """The service sent the whole stream, and different bytes arrived: no part of them can be used."""


@dataclass(frozen=True, kw_only=True)
class HttpClient:
    """One service, with the credentials and settings of one reader. No connection stays open between two requests."""

    url: URL
    token: Token | None = field(repr=False)
    ssl: TLS
    retry_for: float
    clock: Clock = field(repr=False)
    random: Callable[[], float] = field(repr=False)

    async def ask(self, asked: Asked, kind: type[T]) -> T:
        """Return the decoded answer.

        Raises:
            Unavailable: If no complete answer arrived within `retry_for` seconds.
            ConsentfulError: If the service refuses.
        """
        return await self.retry(lambda: self.ask_once(asked, kind))

    async def change(self, asked: Asked) -> None:
        """Make a change that may be repeated, and whose answer is empty.

        Raises:
            Unavailable: If no complete answer arrived within `retry_for` seconds.
            ConsentfulError: If the service refuses.
        """

        async def once() -> None:
            async with self._open(asked) as response:
                await response.read()

        await self.retry(once)

    async def download(self, asked: Asked, on_bytes: Callable[[int], object]) -> bytes:
        """Return a complete stream; one that was cut short is requested again. `on_bytes` gets the size of each chunk.

        Raises:
            Unavailable: If no complete stream arrived within `retry_for` seconds.
            ConsentfulError: If the service refuses.
        """

        async def once() -> bytes:
            parts: list[bytes] = []
            async with self.stream(asked) as stream:
                async for chunk in stream.chunks():
                    parts.append(chunk)
                    on_bytes(len(chunk))
            return b"".join(parts)

        return await self.retry(once)

    async def retry(self, once: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `once`, which is called again while it raises `Lost`.

        Raises:
            Unavailable: If it still does after `retry_for` seconds.
        """
        backoff = Backoff(self.retry_for, self.random)
        while True:
            try:
                return await once()
            except Lost as lost:
                wait, reason = backoff.fail(self.clock.monotonic(), lost.retry_after), lost.reason
            if wait is None:
                raise unavailable(reason)
            _log.debug("reader: %s, retrying in %.2f s", reason, wait)
            await self.clock.sleep(wait)

    async def ask_once(self, asked: Asked, kind: type[T]) -> T:
        """Return the decoded answer to one request.

        Raises:
            Lost: If another try may succeed.
            ConsentfulError: If the service refuses.
        """
        async with self._open(asked) as response:
            body = b"".join([part async for part in _parts(response)])
        return _decoded(body, kind)

    @asynccontextmanager
    async def stream(self, asked: Asked) -> AsyncGenerator["ExportStream"]:
        """Lend a stream whose response has begun.

        Raises:
            Lost: If another try may succeed.
            ConsentfulError: If the service refuses.
        """
        async with self._open(asked) as response:
            yield ExportStream(self, response)

    @asynccontextmanager
    async def _open(self, asked: Asked) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Lend the response to one request, with its body unread. A token callback is called again after a 401."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
            outcome = await self._request(session, asked)
            if isinstance(outcome, Unauthorised) and callable(self.token):
                outcome = await self._request(session, asked)  # the first token may just have expired
            if not isinstance(outcome, aiohttp.ClientResponse):
                raise outcome  # outside of `except`: aiohttp's exception has the request, and so the token
            async with outcome:
                yield outcome

    async def _request(
        self, session: aiohttp.ClientSession, asked: Asked
    ) -> aiohttp.ClientResponse | Lost | ConsentfulError:
        headers = await bearer(self.token)
        try:
            response = await session.request(
                asked.http_method,
                self.url / asked.path,
                params=None if asked.in_body else asked.values,
                json=asked.values if asked.in_body else None,
                headers={**headers, **asked.headers},
                ssl=self.ssl,
                allow_redirects=False,
            )
            if response.status in _DONE:
                return response
            async with response:
                wait = seconds_of(response.headers.get(hdrs.RETRY_AFTER, ""), self.clock.now())
                return _refusal(response.status, await response.read(), wait)
        except (aiohttp.ClientError, OSError) as error:
            return _trouble(error)


class ExportStream:
    """A stream whose response has begun. When `chunks` has ended, `rows` is the number of rows that were sent."""

    def __init__(self, client: HttpClient, response: aiohttp.ClientResponse) -> None:
        self.rows = 0
        self._client = client
        self._response = response

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the bytes as they arrive, without content coding; end only if they are complete according to the
        manifest.

        Raises:
            Lost: If the stream was cut short; the yielded bytes are its beginning.
            Altered: If the yielded bytes are not those that the service sent.
            ConsentfulError: If the service refuses to show the manifest.
        """
        digest = hashlib.sha256()
        async for part in _parts(self._response):
            digest.update(part)
            yield part
        export_id = self._response.headers.get("Export-Id")
        manifest = await self._client.ask_once(Asked(f"v1/exports/{export_id}"), _Manifest)
        if not manifest.complete:
            raise Lost("the stream was cut short")
        if manifest.sha256 != digest.hexdigest():
            raise Altered("the stream's digest differs from its manifest")
        self.rows = manifest.rows or 0


def unavailable(reason: str) -> Unavailable:
    """Return the error for a request that got no complete answer."""
    return Unavailable(f"no complete answer arrived ({reason}); try again later")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        reason = type(error).__name__  # its text may quote the answer
    raise Refused(f"the response is not one of a Consentful service ({reason}); check the url", "answer")


async def _parts(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the body; raise if it is cut short (RFC 9112 §8)."""
    trouble = None
    try:
        async for part in response.content.iter_chunked(_CHUNK_BYTES):
            yield part
    except (aiohttp.ClientError, OSError) as error:
        trouble = _trouble(error)
    if trouble is not None:
        raise trouble  # outside of `except`, as above


def _trouble(error: aiohttp.ClientError | OSError) -> Lost | ConsentfulError:
    """Return the meaning of a response that is missing or cut short."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Refused("the server's certificate is not trusted; pass `ssl`, or fix the certificate", "certificate")
    return Lost("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _refusal(status: int, body: bytes, retry_after: float) -> Lost | ConsentfulError:
    """Return the meaning of a status other than 200; the service's own sentence explains it best."""
    meaning = close_codes.of_status(status, retry_after)
    if isinstance(meaning, Lost | Unauthorised):
        return meaning
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        return Refused(f"no stored data can be read at this address (HTTP {status})", f"http_{status}")
    if status == 403:
        return Forbidden(problem.detail)
    return Refused(problem.detail, problem.code)
