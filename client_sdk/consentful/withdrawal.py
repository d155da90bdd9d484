"""The customer withdraws the consent, as a whole or for some purposes, by the withdrawal code (GDPR art. 7(3))."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, overload

import aiohttp
import msgspec
from aiohttp import hdrs

from . import arguments, withdrawal_code
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


class Narrowed(msgspec.Struct, frozen=True):
    """What is left of a consent that was withdrawn for some purposes: the dialog is stored for `purposes` alone."""

    dialog_id: str
    purposes: tuple[str, ...]
    status: Literal["narrowed"] = "narrowed"


@overload
async def withdraw(url: str, code: str, *, purposes: None = None, ssl: TLS | None = None) -> Withdrawn: ...
@overload
async def withdraw(url: str, code: str, *, purposes: Sequence[str], ssl: TLS | None = None) -> Withdrawn | Narrowed: ...
async def withdraw(
    url: str, code: str, *, purposes: Sequence[str] | None = None, ssl: TLS | None = None
) -> Withdrawn | Narrowed:
    """Withdraw the consent of this withdrawal code, which `stored` carried. No token is needed.

    Without `purposes` the dialog is erased. With some of the notice's purposes the consent ends for these alone; where
    none is left, the dialog is erased. The code is read as people type and paste it: case, spaces and hyphens do not
    matter.

    Raises:
        UnknownCode: If no dialog has this code. Nothing was erased.
        Unavailable: If the server cannot be reached, or cannot write now; try again.
        Refused: If the customer's notice does not name one of the purposes, or the server refuses for another reason.
        TypeError: If an argument has another type, such as a single text for `purposes`.
        ValueError: If the URL is invalid, or `purposes` is empty.
    """
    target = http_url(url) / "v1" / "withdrawals"
    chosen = arguments.texts_or_none("purposes", purposes)
    if chosen == []:  # no purpose and every purpose are opposites, so neither is guessed
        raise ValueError("purposes must not be empty; leave it out to withdraw the whole consent")
    if not withdrawal_code.readings(code):
        raise _unknown()
    body: dict[str, Any] = {"code": code} if chosen is None else {"code": code, "purposes": chosen}
    timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(target, json=body, ssl=True if ssl is None else ssl) as response,
        ):
            kind = response.headers.get(hdrs.CONTENT_TYPE, "")
            return _outcome(response.status, kind, await response.read(), is_partial=chosen is not None)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"the server cannot be reached ({type(error).__name__}); the outcome is unknown, try again"
        ) from None


def _outcome(status: int, content_type: str, body: bytes, *, is_partial: bool) -> Withdrawn | Narrowed:
    """Return the outcome that the response states.

    Raises:
        ConsentfulError: If it states none.
    """
    if status not in (200, 202):
        raise _refusal(status, content_type, is_partial=is_partial)
    is_narrowed = msgspec.json.decode(body, type=_Status).status == "narrowed"
    return msgspec.json.decode(body, type=Narrowed if is_narrowed else Withdrawn)


class _Status(msgspec.Struct):
    status: str


def _refusal(status: int, content_type: str, *, is_partial: bool) -> ConsentfulError:
    ours = content_type.startswith("application/problem+json")
    if status == 400 and ours and is_partial:  # the code was read above, so it is the purposes
        return Refused(
            "purposes must be purposes of the notice that the customer was shown; nothing was withdrawn", "bad_request"
        )
    if status in (400, 404) and ours:
        return _unknown()
    if status in (429, 500, 502, 503, 504):
        return Unavailable(f"the server cannot erase at the moment (HTTP {status}); try again")
    return Refused(f"the server at this address does not accept withdrawals (HTTP {status})", f"http_{status}")


def _unknown() -> UnknownCode:
    return UnknownCode("no dialog has this withdrawal code; check it and try again; nothing was erased")
