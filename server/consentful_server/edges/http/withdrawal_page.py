"""The withdrawal page as HTML, in the language of the request. It needs no script; one tells when the server is lost.

What it shows, and what follows:

    the code ──► erased, with a confirmation
       │  └────► the code is wrong, or there were too many attempts: it stays in its field, which has the focus
       ▼
    the choice of purposes ──► withdrawn for these, with a confirmation; erased, if none is left
"""

from collections.abc import Mapping
from datetime import datetime
from html import escape
from string import Template
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import hdrs, web

from ...consent.notices import PurposeName
from ...consent.page_texts import PageTexts, choose
from .assets import ASSETS
from .pipeline import SERVICE
from .protection import CONTENT_SECURITY_POLICY

PURPOSE: Final = "purpose."
"""Before each purpose in the name of its checkbox: a form may have each name once."""

_PAGE: Final = "withdraw.html"
_POLICY: Final = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows: the form again unless `is_done`, and what was told above it.

    `purposes` None: the form asks for the code alone, otherwise to choose from these, which are ids with what people
    read for them. `is_wrong`: the code is.
    """

    told: str = ""
    code: str = ""
    purposes: Mapping[str, PurposeName] | None = None
    is_wrong: bool = False
    is_done: bool = False
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})

    def __repr__(self) -> str:
        return f"View(status={self.status})"


def texts_for(request: web.Request) -> tuple[str, PageTexts]:
    """Return the language of the request, and the page's texts in it."""
    known = request.app[SERVICE].withdrawal_texts
    language = choose(known, request.query.get("lang"), request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    return language, known[language]


def show(request: web.Request, view: View) -> web.Response:
    """Return the page."""
    language, texts = texts_for(request)
    known = request.app[SERVICE].withdrawal_texts
    fields = {name: escape(value) for name, value in msgspec.structs.asdict(texts).items()} | {
        "lang": language,
        "outcome": view.told,
        "unanswered": note("error", texts.lost, texts.lost_text, _retry(texts)),
        "hidden": " hidden" if view.is_done else "",
        "code": escape(view.code),
        "described": " told" if view.is_wrong else "",
        "state": _state_of_field(view),
        "acts": _acts(texts) if view.purposes is None else _choice(texts, view.purposes, language),
        "languages": " ".join(_link(tag, it.name, is_current=tag == language) for tag, it in known.items()),
    }
    return web.Response(
        status=view.status,
        text=Template(request.app[ASSETS].page(_PAGE)).substitute(fields),
        content_type="text/html",
        headers={
            "Content-Security-Policy": _POLICY,
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.CONTENT_LANGUAGE: language,
            hdrs.VARY: hdrs.ACCEPT_LANGUAGE,
            **view.headers,
        },
    )


def note(state: str, headline: str, text: str = "", more: str = "") -> str:
    """Return a note above the form; `more` is HTML. Screen readers read an error out at once."""
    role = "alert" if state == "error" else "status"
    paragraph = f"<p>{escape(text)}</p>" if text else ""
    return (
        f'<section id="told" class="panel" data-state="{state}" role="{role}">'
        f"<h2>{escape(headline)}</h2>{paragraph}{more}</section>"
    )


def facts(rows: Mapping[str, str]) -> str:
    """Return a list of names and values; the values are HTML."""
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in rows.items())
    return f"<dl class='facts'>{listed}</dl>"


def moment(at: datetime) -> str:
    """Return a time, which a script makes local."""
    return f"<time datetime='{at.isoformat(timespec='seconds')}'>{at:%Y-%m-%d %H:%M} UTC</time>"


def named(name: PurposeName, language: str) -> str:
    """Return a purpose's name, marked where its language is not the page's, so that it is pronounced and set right."""
    text = escape(name.text)
    return text if name.language in (None, language) else f'<bdi lang="{escape(name.language)}">{text}</bdi>'


def file(signed: str, label: str) -> str:
    """Return a link that downloads a confirmation."""
    return f"<p><a download='withdrawal.jws' href='data:application/jose,{signed}'>{escape(label)}</a></p>"


def _state_of_field(view: View) -> str:
    if view.is_wrong:
        return ' aria-invalid="true" autofocus'
    return "" if view.purposes is None else " readonly"  # the choice is of this code's dialog


def _retry(texts: PageTexts) -> str:
    return f'<p><button type="button">{escape(texts.retry)}</button></p>'


def _acts(texts: PageTexts) -> str:
    return (
        f'<p class="row"><button class="main">{escape(texts.button)}</button>'
        f' <button name="step" value="choose">{escape(texts.choose)}</button></p>'
    )


def _choice(texts: PageTexts, purposes: Mapping[str, PurposeName], language: str) -> str:
    boxes = "".join(
        f'<p><label><input type="checkbox" name="{PURPOSE}{escape(purpose)}"> {named(name, language)}</label></p>'
        for purpose, name in purposes.items()
    )
    return (
        f"<fieldset><legend>{escape(texts.purposes)}</legend>{boxes}</fieldset>"
        f'<p class="row"><button class="main" name="step" value="chosen">{escape(texts.withdraw)}</button>'
        f" <button>{escape(texts.button)}</button></p>"
    )


def _link(tag: str, name: str, *, is_current: bool) -> str:
    current = ' aria-current="true"' if is_current else ""
    return f'<a href="?lang={tag}" hreflang="{tag}" lang="{tag}"{current}>{escape(name)}</a>'
