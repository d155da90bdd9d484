"""`/withdraw`: a page where customers withdraw a consent, without a login and without JavaScript (GDPR art. 7(3))."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from html import escape
from string import Template
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from ... import errors
from ...archive.store import ErasureOutcome
from ...consent.page_texts import PageTexts, choose
from ...errors import BadRequest, NotFound, TooOften
from ...service import Service
from ..http import tags
from ..http.assets import ASSETS
from ..http.bodies import CODE_BYTES, FORM, form_of
from ..http.erasure import status_of
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


class Language(msgspec.Struct, frozen=True):
    """The language of the page; without it, the best that the browser accepts."""

    lang: Annotated[str, Meta(description="a BCP 47 tag; an unknown one is ignored")] | None = None


async def ask(request: web.Request) -> web.StreamResponse:
    """Return the withdrawal form."""
    return _page(request)


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Erase the dialog of the withdrawal code, and confirm it on a page. A code that was used gets the same page.

    The page offers the confirmation as a file: a compact JWS, as receipts are.
    """
    code = ""
    try:
        request.app[SERVICE].withdrawal_attempts.admit(client_address(request))
        code = (await form_of(request, CODE_BYTES)).get("code", "")
        erasure = await request.app[SERVICE].archive.withdraw(code, by_customer(request))
    except (NotFound, BadRequest):
        return _page(request, _refused, code, status=404)
    except TooOften as refusal:
        headers: dict[str, str] = {hdrs.RETRY_AFTER: str(refusal.retry_after_s)}
        return _page(request, partial(_too_often, refusal), code, status=429, headers=headers)
    return _page(request, partial(_confirmed, erasure, request.app[SERVICE]), is_done=True)


def _confirmed(erasure: ErasureOutcome, service: Service, texts: PageTexts) -> str:
    erased_at = erasure.tombstone.moment.isoformat(timespec="seconds")
    file = service.signer.sign(confirmation(erasure, service.settings.receipt_issuer))
    return _note(
        "stored",
        "status",
        texts.done,
        texts.done_text,
        f"<dl class='facts'><dt>{escape(texts.messages)}</dt><dd>{erasure.tombstone.messages}</dd>"
        f"<dt>{escape(texts.erased)}</dt>"
        f"<dd><time datetime='{erased_at}'>{_date(erasure.tombstone.moment)}</time></dd></dl>"
        f"<p><a download='withdrawal.jws' href='data:application/jose,{file}'>{escape(texts.confirmation)}</a></p>",
    )


def confirmation(erasure: ErasureOutcome, issuer: str) -> Mapping[str, Any]:
    """Return the claims of the confirmation of a withdrawal, which `consentful verify` verifies.

    It states what a used code is told again, so it is the same each time, but for the status.
    """
    tombstone = erasure.tombstone
    return {
        "iss": issuer,
        "iat": tombstone.erased_at // 1_000_000,  # NumericDate: seconds (RFC 7519 §2)
        "jti": tombstone.dialog_id,
        "kind": "withdrawal",
        "status": status_of(erasure),
        "messages": tombstone.messages,
        "dialogs": [tombstone.dialog_id],
    }


def _refused(texts: PageTexts) -> str:
    return _note("error", "alert", texts.wrong, texts.wrong_text)


def _too_often(refusal: TooOften, texts: PageTexts) -> str:
    return _note("error", "alert", texts.busy, f"{texts.busy_text} {refusal.retry_after_s}")


def _note(state: str, role: str, headline: str, text: str, more: str = "") -> str:
    return (
        f'<section id="told" class="panel" data-state="{state}" role="{role}">'
        f"<h2>{escape(headline)}</h2><p>{escape(text)}</p>{more}</section>"
    )


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"  # a script makes it local


def _page(
    request: web.Request,
    outcome: Callable[[PageTexts], str] | None = None,
    code: str = "",
    *,
    status: int = 200,
    is_done: bool = False,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> web.Response:
    """Return the page in the language of the request. A refused code stays in its field, which has the focus."""
    known = request.app[SERVICE].withdrawal_texts
    language = choose(known, request.query.get("lang"), request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    texts = known[language]
    is_wrong = bool(outcome and not is_done)
    fields = {name: escape(value) for name, value in msgspec.structs.asdict(texts).items()} | {
        "lang": language,
        "outcome": "" if outcome is None else outcome(texts),
        "hidden": " hidden" if is_done else "",
        "code": escape(code),
        "described": " told" if is_wrong else "",
        "invalid": ' aria-invalid="true" autofocus' if is_wrong else "",
        "languages": " ".join(_link(tag, it.name, is_current=tag == language) for tag, it in known.items()),
    }
    return web.Response(
        status=status,
        text=Template(request.app[ASSETS].page(_PAGE)).substitute(fields),
        content_type="text/html",
        headers={
            "Content-Security-Policy": _POLICY,
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.CONTENT_LANGUAGE: language,
            hdrs.VARY: hdrs.ACCEPT_LANGUAGE,
            **headers,
        },
    )


def _link(tag: str, name: str, *, is_current: bool) -> str:
    current = ' aria-current="true"' if is_current else ""
    return f'<a href="?lang={tag}" hreflang="{tag}" lang="{tag}"{current}>{escape(name)}</a>'


_PAGES: Final = {"text/html": str}

ROUTES: Final = (
    Route(
        "GET",
        "/withdraw",
        ask,
        query=Language,
        answers=(Answer(_PAGES),),
        tag=tags.WITHDRAWAL_PAGE,
        operation="withdrawal_ask",
    ),
    Route(
        "POST",
        "/withdraw",
        withdraw,
        query=Language,
        body={FORM: Code},
        answers=(Answer(_PAGES), Answer(_PAGES, 404), Answer(_PAGES, 429, headers=(hdrs.RETRY_AFTER,))),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.WITHDRAWAL_PAGE,
        operation="withdrawal_withdraw",
    ),
)
