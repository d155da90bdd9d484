"""The reader's way to a service: one question, one whole answer; asked again while the trouble may pass."""

import hashlib
import logging
from collections.abc import Awaitable, Callable
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
_CHUNK_BYTES: Final = 1024 * 1024

_log: Final = logging.getLogger("consentful")


class _Problem(msgspec.Struct):
    """What the service says when it refuses (RFC 9457)."""

    code: str
    detail: str = ""


class _Manifest(msgspec.Struct):
    """What the service says that it sent."""

    complete: bool
    sha256: str | None


@dataclass(frozen=True)
class _Answer:
    body: bytes = field(repr=False)
    export_id: str | None


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

        async def once() -> T:
            return _decoded((await self._once(asked)).body, kind)

        return await self._patiently(once)

    async def download(self, asked: Asked, on_bytes: Callable[[int], object]) -> bytes:
        """Return a stream, once it is whole by the service's own manifest; one that was cut short is asked for anew.

        Raises:
            Unavailable: If no whole answer could be had within `retry_for` seconds.
            ConsentfulError: If the service refuses.
        """

        async def once() -> bytes:
            answer = await self._once(asked, on_bytes)
            sent = (await self._once(Asked(f"v1/exports/{answer.export_id}"))).body
            manifest = _decoded(sent, _Manifest)
            if not manifest.complete or manifest.sha256 != hashlib.sha256(answer.body).hexdigest():
                raise Lost("a stream that is not whole")
            return answer.body

        return await self._patiently(once)

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        patience = Backoff(self.retry_for, self.random)
        while True:
            try:
                return await once()
            except Lost as lost:
                wait, reason = patience.fail(self.clock.monotonic(), lost.retry_after), lost.reason
            if wait is None:
                raise Unavailable(f"no whole answer could be had ({reason}); try again later")
            _log.debug("reader: %s, asking again in %.2f s", reason, wait)
            await self.clock.sleep(wait)

    async def _once(self, asked: Asked, on_bytes: Callable[[int], object] = lambda _: None) -> _Answer:
        """Return the answer to one request. A token callback gets a second chance after a 401.

        Raises:
            Lost: If another try may do.
            ConsentfulError: If the service refuses.
        """
        outcome = await self._request(asked, on_bytes)
        if isinstance(outcome, Unauthorised) and callable(self.token):
            outcome = await self._request(asked, on_bytes)  # the first token may just have expired
        if isinstance(outcome, _Answer):
            return outcome
        raise outcome  # not where it was caught: what aiohttp raised holds the request, and that the token

    async def _request(self, asked: Asked, on_bytes: Callable[[int], object]) -> _Answer | Lost | ConsentfulError:
        headers = await bearer(self.token)
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.request(
                    hdrs.METH_POST if asked.in_body else hdrs.METH_GET,
                    self.url / asked.path,
                    params=None if asked.in_body else asked.values,
                    json=asked.values if asked.in_body else None,
                    headers=headers,
                    ssl=self.ssl,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status != 200:
                    wait = seconds_of(response.headers.get(hdrs.RETRY_AFTER, ""), self.clock.now())
                    return _refusal(response.status, await response.read(), wait)
                return _Answer(await _body(response, on_bytes), response.headers.get("Export-Id"))
        except aiohttp.ClientConnectorCertificateError:
            return Refused("the server's certificate is not trusted; pass `ssl`, or mend it", "certificate")
        except TimeoutError:
            return Lost("no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Lost(type(error).__name__)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        reason = type(error).__name__  # its sentence may hold what was said
    raise Refused(f"the server at this address does not answer as a Consentful service does ({reason})", "answer")


async def _body(response: aiohttp.ClientResponse, on_bytes: Callable[[int], object]) -> bytes:
    """Return the whole body; one that breaks off raises (RFC 9112 §8)."""
    parts: list[bytes] = []
    async for part in response.content.iter_chunked(_CHUNK_BYTES):
        parts.append(part)
        on_bytes(len(part))
    return b"".join(parts)


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
