"""The customer withdraws the consent: the dialog with this withdrawal code is erased (GDPR art. 7(3))."""

from datetime import datetime
from typing import Final, Literal

import aiohttp
import msgspec
from aiohttp import hdrs

from . import withdrawal_code
from .endpoint import TLS, http_url
from .errors import ConsentfulError, Refused, Unavailable, UnknownCode

_WITHIN_S: Final = 30.0


class Withdrawn(msgspec.Struct, frozen=True):
    """What was erased and when; the same answer if the code is used again.

    `unreadable`: the server's files have no copy of the dialog's key. `pending`: one may be left for now; ask again.
    `complete`: the master key that any earlier copy of it was wrapped with is destroyed as well.
    """

    dialog_id: str
    erased_at: datetime
    status: Literal["unreadable", "pending", "complete"]


async def withdraw(url: str, code: str, *, ssl: TLS | None = None) -> Withdrawn:
    """Erase the dialog with this withdrawal code, which `stored` carried. No token is needed.

    The code is read as people type and paste it: case, spaces and hyphens do not matter.

    Raises:
        UnknownCode: If no dialog has this code. Nothing was erased.
        Unavailable: If the server cannot be reached, or cannot write now; try again.
        Refused: If it refuses for another reason.
        ValueError: If the URL is invalid.
    """
    target = http_url(url) / "v1" / "withdrawals"
    if not withdrawal_code.readings(code):
        raise _unknown()
    timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(target, json={"code": code}, ssl=True if ssl is None else ssl) as response,
        ):
            return _outcome(response.status, response.headers.get(hdrs.CONTENT_TYPE, ""), await response.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"the server cannot be reached ({type(error).__name__}); the outcome is unknown, try again"
        ) from None


def _outcome(status: int, content_type: str, body: bytes) -> Withdrawn:
    """Return the outcome that the response states.

    Raises:
        ConsentfulError: If it states none.
    """
    if status in (200, 202):
        return msgspec.json.decode(body, type=Withdrawn)
    raise _refusal(status, content_type)


def _refusal(status: int, content_type: str) -> ConsentfulError:
    ours = content_type.startswith("application/problem+json")
    if status in (400, 404) and ours:
        return _unknown()
    if status in (429, 500, 502, 503, 504):
        return Unavailable(f"the server cannot erase at the moment (HTTP {status}); try again")
    return Refused(f"the server at this address does not accept withdrawals (HTTP {status})", f"http_{status}")


def _unknown() -> UnknownCode:
    return UnknownCode("no dialog has this withdrawal code; check it and try again; nothing was erased")
