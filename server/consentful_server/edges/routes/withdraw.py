"""`/withdraw`: a page where customers withdraw a consent, without a login and without JavaScript (GDPR art. 7(3))."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from ... import errors
from ...archive.store import ErasureOutcome, StoredDialog
from ...clock import to_micros
from ...consent.notices import PurposeName, names_of
from ...errors import BadRequest, NotFound, TooOften
from ...service import Service
from ..http import tags
from ..http.bodies import CODE_BYTES, FORM, form_of
from ..http.erasure import status_of
from ..http.pipeline import SERVICE, by_customer, client_address
from ..http.route import Answer, Route
from ..http.withdrawal_page import PURPOSE, View, facts, file, moment, named, note, show, texts_for

_MOST_FIELDS: Final = 110
"""A notice names up to 100 purposes."""


class Code(msgspec.Struct, frozen=True):
    """The form: a withdrawal code, and the step of the page. Without a step the dialog is erased.

    `choose` asks for a choice of the purposes; `chosen` comes with a field `purpose.…` for each chosen one.
    """

    code: str
    step: Literal["choose", "chosen"] | None = None

    def __repr__(self) -> str:
        return "Code(…)"


class Language(msgspec.Struct, frozen=True):
    """The language of the page; without it, the best that the browser accepts."""

    lang: Annotated[str, Meta(description="a BCP 47 tag; an unknown one is ignored")] | None = None


async def ask(request: web.Request) -> web.StreamResponse:
    """Return the withdrawal form."""
    return show(request, View())


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Withdraw the consent of the code, as a whole or for chosen purposes, and confirm it on a page.

    A code that was used gets the same page. The page offers the confirmation as a file: a compact JWS, as receipts are.
    """
    _, texts = texts_for(request)
    code = ""
    try:
        request.app[SERVICE].withdrawal_attempts.admit(client_address(request))
        fields = await form_of(request, CODE_BYTES, _MOST_FIELDS)
        code = fields.get("code", "")
        view = await _outcome(request, code, fields)
    except (NotFound, BadRequest):
        view = View(told=note("error", texts.wrong, texts.wrong_text), code=code, is_wrong=True, status=404)
    except TooOften as refusal:
        told = note("error", texts.busy, f"{texts.busy_text} {refusal.retry_after_s}")
        headers = {str(hdrs.RETRY_AFTER): str(refusal.retry_after_s)}
        view = View(told=told, code=code, is_wrong=True, status=429, headers=headers)
    return show(request, view)


async def _outcome(request: web.Request, code: str, fields: Mapping[str, str]) -> View:
    """Do what the form asks for, and return what to show.

    Raises:
        NotFound: If no dialog has this code.
        BadRequest: If a purpose is not one of the notice.
    """
    service, by = request.app[SERVICE], by_customer(request)
    chosen = [name.removeprefix(PURPOSE) for name in fields if name.startswith(PURPOSE)]
    if fields.get("step") in ("choose", "chosen"):
        found = await service.archive.withdrawable(code)
        if isinstance(found, StoredDialog) and not chosen:
            return await _choice(request, code, found, is_empty=fields["step"] == "chosen")
        outcome = await service.archive.withdraw_for(code, chosen, await service.offer.every(), by)
        if isinstance(outcome, StoredDialog):
            return await _narrowed(request, outcome, chosen)
    else:
        outcome = await service.archive.withdraw(code, by)
    return _erased(request, outcome)


async def _choice(request: web.Request, code: str, found: StoredDialog, *, is_empty: bool) -> View:
    _, texts = texts_for(request)
    names = await _names(request, found, found.record.purposes)
    return View(told=note("error", texts.none) if is_empty else "", code=code, purposes=names)


async def _names(request: web.Request, dialog: StoredDialog, purposes: Iterable[str]) -> Mapping[str, PurposeName]:
    """Return what the customer reads for each purpose, in the page's language or else in that of the notice."""
    language, _ = texts_for(request)
    record, wordings = dialog.record, await request.app[SERVICE].offer.every()
    languages = (language, record.notice_language)
    return names_of(purposes, [wordings.get((record.notice_id, it)) for it in languages])


def _erased(request: web.Request, erasure: ErasureOutcome) -> View:
    _, texts = texts_for(request)
    service, tombstone = request.app[SERVICE], erasure.tombstone
    rows = {texts.messages: str(tombstone.messages), texts.erased: moment(tombstone.moment)}
    signed = service.signer.sign(confirmation(erasure, service.settings.receipt_issuer))
    more = facts(rows) + file(signed, texts.confirmation)
    return View(told=note("stored", texts.done, texts.done_text, more), is_done=True)


async def _narrowed(request: web.Request, dialog: StoredDialog, withdrawn: list[str]) -> View:
    language, texts = texts_for(request)
    service = request.app[SERVICE]
    names = await _names(request, dialog, (*withdrawn, *dialog.record.purposes))
    rows = {
        texts.withdrawn: ", ".join(named(names[purpose], language) for purpose in withdrawn),
        texts.left: ", ".join(named(names[purpose], language) for purpose in dialog.record.purposes),
        texts.at: moment(service.clock.now()),
    }
    signed = service.signer.sign(narrowing(dialog, withdrawn, service))
    more = facts(rows) + file(signed, texts.confirmation)
    return View(told=note("stored", texts.partly, texts.partly_text, more), is_done=True)


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


def narrowing(dialog: StoredDialog, withdrawn: list[str], service: Service) -> Mapping[str, Any]:
    """Return the claims of the confirmation of a withdrawal for some purposes; `purposes` are those that are left."""
    return {
        "iss": service.settings.receipt_issuer,
        "iat": to_micros(service.clock.now()) // 1_000_000,
        "jti": dialog.record.dialog_id,
        "kind": "narrowing",
        "withdrawn": withdrawn,
        "purposes": list(dialog.record.purposes),
    }


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
