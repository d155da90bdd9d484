"""The reader's way to a service: one question, one whole answer; asked again while the trouble may pass.

A stream is handed over as it arrives, in memory that does not grow with it. Only its end tells that it is whole: its
digest is then compared with the manifest that the service keeps of it.
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

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=60.0)
_CHUNK_BYTES: Final = 256 * 1024

_log: Final = logging.getLogger("consentful")


class _Problem(msgspec.Struct):
    """What the service says when it refuses (RFC 9457)."""

    code: str
    detail: str = ""


class _Manifest(msgspec.Struct):
    """What the service says that it sent."""

    complete: bool
    sha256: str | None
    rows: int | None = None


class Altered(Lost):
    """The service sent all of a stream, and something else arrived: no part of it can be kept."""


@dataclass(frozen=True, kw_only=True)
class HttpClient:
    """One service, as one reader reaches it. Nothing stays open between two questions."""

    url: URL
    token: Token | None = field(repr=False)
    ssl: TLS
    retry_for: float
    clock: Clock = field(repr=False)
    random: Callable[[], float] = field(repr=False)

    async def ask(self, asked: Asked, kind: type[T]) -> T:
        """Return the answer.

        Raises:
            Unavailable: If no whole answer could be had within `retry_for` seconds.
            ConsentfulError: If the service refuses.
        """
        return await self.retry(lambda: self.ask_once(asked, kind))

    async def download(self, asked: Asked, on_bytes: Callable[[int], object]) -> bytes:
        """Return a stream, once it is whole; one that was cut short is asked for anew.

        Raises:
            Unavailable: If it could not be had whole within `retry_for` seconds.
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
        """Return what `once` does, called again as long as it raises `Lost`.

        Raises:
            Unavailable: If it still does after `retry_for` seconds.
        """
        patience = Backoff(self.retry_for, self.random)
        while True:
            try:
                return await once()
            except Lost as lost:
                wait, reason = patience.fail(self.clock.monotonic(), lost.retry_after), lost.reason
            if wait is None:
                raise unavailable(reason)
            _log.debug("reader: %s, asking again in %.2f s", reason, wait)
            await self.clock.sleep(wait)

    async def ask_once(self, asked: Asked, kind: type[T]) -> T:
        """Return the answer to one request.

        Raises:
            Lost: If another try may do.
            ConsentfulError: If the service refuses.
        """
        async with self._open(asked) as response:
            body = b"".join([part async for part in _parts(response)])
        return _decoded(body, kind)

    @asynccontextmanager
    async def stream(self, asked: Asked) -> AsyncGenerator["ExportStream"]:
        """Lend a stream that has begun to arrive.

        Raises:
            Lost: If another try may do.
            ConsentfulError: If the service refuses.
        """
        async with self._open(asked) as response:
            yield ExportStream(self, response)

    @asynccontextmanager
    async def _open(self, asked: Asked) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Lend the answer to one request, of which the body is to be read. A token callback gets a second chance."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
            outcome = await self._request(session, asked)
            if isinstance(outcome, Unauthorised) and callable(self.token):
                outcome = await self._request(session, asked)  # the first token may just have expired
            if not isinstance(outcome, aiohttp.ClientResponse):
                raise outcome  # not where it was caught: what aiohttp raised holds the request, and that the token
            async with outcome:
                yield outcome

    async def _request(
        self, session: aiohttp.ClientSession, asked: Asked
    ) -> aiohttp.ClientResponse | Lost | ConsentfulError:
        headers = await bearer(self.token)
        try:
            response = await session.request(
                hdrs.METH_POST if asked.in_body else hdrs.METH_GET,
                self.url / asked.path,
                params=None if asked.in_body else asked.values,
                json=asked.values if asked.in_body else None,
                headers=headers,
                ssl=self.ssl,
                allow_redirects=False,
            )
            if response.status == 200:
                return response
            async with response:
                wait = seconds_of(response.headers.get(hdrs.RETRY_AFTER, ""), self.clock.now())
                return _refusal(response.status, await response.read(), wait)
        except (aiohttp.ClientError, OSError) as error:
            return _trouble(error)


class ExportStream:
    """A stream that has begun to arrive. `rows` tells how many rows the service sent, once `chunks` has ended."""

    def __init__(self, client: HttpClient, response: aiohttp.ClientResponse) -> None:
        self.rows = 0
        self._client = client
        self._response = response

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the bytes as they arrive, without content coding. It ends only if that was all, by the manifest.

        Raises:
            Lost: If the stream broke off; what was yielded is the beginning of it.
            Altered: If what was yielded is not what was sent.
            ConsentfulError: If the service refuses to show the manifest.
        """
        digest = hashlib.sha256()
        async for part in _parts(self._response):
            digest.update(part)
            yield part
        export_id = self._response.headers.get("Export-Id")
        manifest = await self._client.ask_once(Asked(f"v1/exports/{export_id}"), _Manifest)
        if not manifest.complete:
            raise Lost("a stream that is not whole")
        if manifest.sha256 != digest.hexdigest():
            raise Altered("what arrived is not what the server sent")
        self.rows = manifest.rows or 0


def unavailable(reason: str) -> Unavailable:
    """Return what is raised when nothing whole could be had."""
    return Unavailable(f"no whole answer could be had ({reason}); try again later")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        reason = type(error).__name__  # its sentence may hold what was said
    raise Refused(f"the server at this address does not answer as a Consentful service does ({reason})", "answer")


async def _parts(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the body; one that breaks off raises (RFC 9112 §8)."""
    trouble = None
    try:
        async for part in response.content.iter_chunked(_CHUNK_BYTES):
            yield part
    except (aiohttp.ClientError, OSError) as error:
        trouble = _trouble(error)
    if trouble is not None:
        raise trouble  # not where it was caught, as above


def _trouble(error: aiohttp.ClientError | OSError) -> Lost | ConsentfulError:
    """Return what it means that there is no answer, or not all of it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Refused("the server's certificate is not trusted; pass `ssl`, or mend it", "certificate")
    return Lost("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _refusal(status: int, body: bytes, retry_after: float) -> Lost | ConsentfulError:
    """Return what an answer means that is not 200; the service's own sentence says it best."""
    meaning = close_codes.of_status(status, retry_after)
    if isinstance(meaning, Lost | Unauthorised):
        return meaning
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        return Refused(f"the server at this address has nothing to read (HTTP {status})", f"http_{status}")
    if status == 403:
        return Forbidden(problem.detail)
    return Refused(problem.detail, problem.code)
