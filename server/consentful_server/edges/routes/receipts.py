"""`/v1/receipts/verify`: verify a receipt, or a report of an erasure, and compare it with the store."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from ...errors import BadRequest
from ...keys.jwks import BadReceipt
from ...operations.verify import check_receipt
from ..http import bodies, parameters, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_LONGEST: Final = 400_000
"""Characters; the report of an erasure names every dialog."""

_QUOTE: Final = re.compile(r"^[>\s]+", re.MULTILINE)
_SIGNED: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""A compact JWS: its header, an object of JSON, begins with `eyJ`."""


class SignedText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt or a report: a compact JWS (RFC 7515)."""

    receipt: Annotated[str, Meta(min_length=1, max_length=_LONGEST)]

    def __repr__(self) -> str:
        return "SignedText(…)"


class Verification(msgspec.Struct, frozen=True):
    """The claims of a receipt or report with a valid signature, and how they compare with the store.

    `content`: `matches` what is stored exactly; `differs`; `erased`: the dialogs are; `not here`: no such dialog.
    """

    claims: Mapping[str, Any]
    content: Literal["matches", "differs", "erased", "not here"]
    detail: str

    def __repr__(self) -> str:
        return f"Verification({self.content!r})"


async def verify(request: web.Request) -> web.StreamResponse:
    """Verify a receipt or a report of an erasure that this deployment signed, and compare it with the store.

    What is malformed, altered, or was signed by others is a 400 that says so. Refused to a key that is bound to
    purposes: the answer would tell whether a dialog of another purpose is stored.
    """
    request[PRINCIPAL].require_unbound("the answer tells of dialogs of every purpose")
    given = parameters.convert(await bodies.object_of(request), SignedText, numbers_as_text=())
    try:
        verdict = await check_receipt(_pasted(given.receipt), request.app[SERVICE])
    except BadReceipt as refusal:
        raise BadRequest("receipt", refusal.detail) from None
    return json(Verification(verdict.claims, verdict.content, verdict.detail))


def _pasted(text: str) -> str:
    """Return the receipt in a text as people paste it: wrapped and quoted by a mail program, in JSON, after a label."""
    whole = "".join(_QUOTE.sub("", text).split())
    found = _SIGNED.search(whole)
    return found[0] if found else whole


ROUTES: Final = (
    Route(
        "POST",
        "/v1/receipts/verify",
        verify,
        scopes=("privacy",),
        body={bodies.JSON: SignedText},
        answers=(Answer({bodies.JSON: Verification}),),
        tag=tags.PRIVACY,
        operation="officer_verify",
    ),
)
