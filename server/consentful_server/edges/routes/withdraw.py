"""`/withdraw`: a page where customers withdraw a consent, without a login and without JavaScript (GDPR art. 7(3))."""

from collections.abc import Mapping
from datetime import datetime
from html import escape
from string import Template
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import hdrs, web

from ... import errors
from ...archive.store import ErasureOutcome
from ...errors import BadRequest, NotFound, TooOften
from ..http import tags
from ..http.assets import ASSETS
from ..http.bodies import CODE_BYTES, FORM, form_of
from ..http.pipeline import SERVICE, by_customer, client_address
from ..http.protection import CONTENT_SECURITY_POLICY
from ..http.route import Answer, Route

_PAGE: Final = "withdraw.html"
_POLICY: Final = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'")


class Code(msgspec.Struct, frozen=True):
    """The form: a withdrawal code."""

    code: str

    def __repr__(self) -> str:
        return "Code(…)"


async def ask(request: web.Request) -> web.StreamResponse:
    """Return the withdrawal form."""
    return _page(request)


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Erase the dialog of the withdrawal code, and confirm it on a page. A code that was used gets the same page."""
    try:
        request.app[SERVICE].withdrawal_attempts.admit(client_address(request))
        code = (await form_of(request, CODE_BYTES)).get("code", "")
        erasure = await request.app[SERVICE].archive.withdraw(code, by_customer(request))
    except (NotFound, BadRequest):
        return _page(request, _refused(), status=404)
    except TooOften as refusal:
        return _page(request, _too_often(refusal), status=429, headers={hdrs.RETRY_AFTER: str(refusal.retry_after_s)})
    return _page(request, _confirmed(erasure), is_done=True)


def _confirmed(erasure: ErasureOutcome) -> str:
    tombstone = erasure.tombstone
    messages = "1 message was" if tombstone.messages == 1 else f"{tombstone.messages} messages were"
    return _note(
        "stored",
        "Your conversation has been erased.",
        f"{messages} made unreadable on {_date(tombstone.moment)}. Nobody can read them in this service any more.",
    )


def _refused() -> str:
    return _note(
        "error",
        "This code is not valid.",
        "Nothing was erased. Please compare it with the code that you received: it has 26 letters and digits.",
    )


def _too_often(refusal: TooOften) -> str:
    return _note(
        "error",
        "Too many attempts.",
        f"Please try again in {_seconds(refusal.retry_after_s)}. Nothing was erased.",
    )


def _note(state: str, headline: str, text: str) -> str:
    return (
        f'<section class="panel" data-state="{state}" role="status">'
        f"<h2>{escape(headline)}</h2><p>{escape(text)}</p></section>"
    )


def _seconds(number: int) -> str:
    return "1 second" if number == 1 else f"{number} seconds"


def _date(moment: datetime) -> str:
    return f"{moment:%d %B %Y at %H:%M} UTC"


def _page(
    request: web.Request,
    outcome: str = "",
    *,
    status: int = 200,
    is_done: bool = False,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> web.Response:
    template = Template(request.app[ASSETS].page(_PAGE))
    return web.Response(
        status=status,
        text=template.substitute(outcome=outcome, hidden=" hidden" if is_done else ""),
        content_type="text/html",
        headers={"Content-Security-Policy": _POLICY, hdrs.CACHE_CONTROL: "no-store", **headers},
    )


_PAGES: Final = {"text/html": str}

ROUTES: Final = (
    Route("GET", "/withdraw", ask, answers=(Answer(_PAGES),), tag=tags.WITHDRAWAL_PAGE, operation="withdrawal_ask"),
    Route(
        "POST",
        "/withdraw",
        withdraw,
        body={FORM: Code},
        answers=(Answer(_PAGES), Answer(_PAGES, 404), Answer(_PAGES, 429, headers=(hdrs.RETRY_AFTER,))),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.WITHDRAWAL_PAGE,
        operation="withdrawal_withdraw",
    ),
)
