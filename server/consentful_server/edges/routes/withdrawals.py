"""`/v1/withdrawals`: a customer withdraws a consent with a withdrawal code (GDPR art. 7(3)).

A chatbot that speaks HTTP alone gets the QR code of the customer's link here, too: `/v1/withdrawals/qr`.
"""

import asyncio
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire, withdrawal_code, withdrawal_qr

from ... import errors
from ...archive.store import ErasureOutcome
from ..http import bodies, parameters, pipeline, tags
from ..http.bodies import JSON
from ..http.erasure import ERASED, ERASURE_REFUSALS, erased
from ..http.pipeline import SERVICE, client_address
from ..http.route import Answer, Route

SVG: Final = "image/svg+xml"
PNG: Final = "image/png"

_CODE: Final = r"^([A-Z2-7]{5}-){5}[A-Z2-7]$(?!\n)"


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A withdrawal code, as in `stored`. It is read as people type it: case, spaces and hyphens do not matter."""

    code: Annotated[str, Meta(min_length=1, max_length=withdrawal_code.LONGEST)]
    purposes: Annotated[tuple[wire.Label, ...], Meta(min_length=1, max_length=100)] | None = None

    def __repr__(self) -> str:
        return "Withdrawal(…)"


class Narrowed(msgspec.Struct, frozen=True):
    """The outcome of a withdrawal for some purposes: the dialog is stored for those that are left."""

    dialog_id: str
    purposes: tuple[str, ...]
    status: Literal["narrowed"] = "narrowed"


class QrCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to draw: the withdrawal code exactly as in `stored`, the language of the page, and the kind of image."""

    code: Annotated[str, Meta(pattern=_CODE)]
    language: wire.Language | None = None
    format: Annotated[Literal["svg", "png"], Meta(description="mail programs show no SVG")] = "svg"

    def __repr__(self) -> str:
        return "QrCode(…)"


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Withdraw a consent (GDPR art. 7(3)), as a whole or for some `purposes`. The code is the only credential.

    A code that was used before returns the same outcome; an unknown code is a 404. If no purpose is left, the dialog is
    erased.
    """
    service, by = request.app[SERVICE], pipeline.by_customer(request)
    service.withdrawal_attempts.admit(client_address(request))
    given = parameters.convert(await bodies.object_of(request, bodies.CODE_BYTES), Withdrawal, numbers_as_text=())
    if given.purposes is None:
        return erased(await service.archive.withdraw(given.code, by))
    outcome = await service.archive.withdraw_for(given.code, given.purposes, await service.offer.every(), by)
    if isinstance(outcome, ErasureOutcome):
        return erased(outcome)
    return pipeline.json(Narrowed(outcome.record.dialog_id, outcome.record.purposes))


async def draw(request: web.Request) -> web.StreamResponse:
    """Draw a QR code of the link to the withdrawal page that carries the code in its fragment, for the customer alone.

    It leads to `--base-url`, or without that to the address that this request was sent to. Nothing is looked up: a code
    that erases nothing is drawn as well.
    """
    asked = parameters.convert(await bodies.object_of(request, bodies.CODE_BYTES), QrCode, numbers_as_text=())
    base = request.app[SERVICE].settings.base_url or str(request.url.origin())
    link = wire.withdrawal_link(base, asked.code, asked.language)
    image = await asyncio.to_thread(_draw, asked.format, link)  # 5 ms, which no live dialog should wait for
    headers = {hdrs.CONTENT_TYPE: PNG if asked.format == "png" else SVG, hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=image, headers=headers)


def _draw(kind: Literal["svg", "png"], link: str) -> bytes:
    return withdrawal_qr.png(link) if kind == "png" else withdrawal_qr.svg(link).encode()


ROUTES: Final = (
    Route(
        "POST",
        "/v1/withdrawals",
        withdraw,
        body={JSON: Withdrawal},
        answers=(*ERASED, Answer({JSON: Narrowed})),
        refusals=(*ERASURE_REFUSALS, errors.TooOften),
        tag=tags.WITHDRAWAL,
        operation="rest_withdraw",
    ),
    Route(
        "POST",
        "/v1/withdrawals/qr",
        draw,
        scopes=("dialogs:write",),
        body={JSON: QrCode},
        answers=(Answer({SVG: str, PNG: bytes}),),
        tag=tags.WITHDRAWAL,
        operation="rest_withdrawal_qr",
    ),
)
