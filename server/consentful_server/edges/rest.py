"""Taking a consent back, and the keys that its proofs are verified with."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from .. import errors
from ..archive.store import Erasure
from ..clock import from_micros
from . import asking, bodies, requests, tags
from .addresses import client_address
from .bodies import JSON
from .requests import PRINCIPAL, SERVICE, Answer, Route, json

T = TypeVar("T")

_JWKS: Final = "application/jwk-set+json"


class Jwk(msgspec.Struct, frozen=True):
    """One public key (RFC 8037). `kid` is its thumbprint (RFC 7638)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class Jwks(msgspec.Struct, frozen=True):
    """The keys that receipts and reports are verified with: the one that signs, then those that signed before it."""

    keys: list[Jwk]


class Erased(msgspec.Struct, frozen=True):
    """An erasure's outcome: `unreadable` once no copy of the key is left here, `pending` until a reader lets go.

    `complete` once no master key is left that opens an earlier copy of it.
    """

    dialog_id: str
    erased_at: datetime
    status: Literal["pending", "unreadable", "complete"]


async def erase(request: web.Request) -> web.StreamResponse:
    """Erase one dialog: a chatbot its own, a privacy officer anyone's. Asked again, it answers the same."""
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    may_any = principal.may("privacy")
    erasure = await archive.erase(
        request.match_info["dialog_id"],
        "requested" if may_any else "withdrawn",
        owner=None if may_any else principal.id,
        by=principal.actor,
    )
    return _erased(erasure)


def _erased(erasure: Erasure) -> web.Response:
    stone = erasure.tombstone
    status = "complete" if stone.complete else "unreadable" if erasure.truncated else "pending"
    answer = Erased(stone.dialog_id, from_micros(stone.erased_at), status)
    return json(answer, status=200 if erasure.truncated else 202)


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's code, as `stored` carried it. Spaces, hyphens and case do not matter."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]

    def __repr__(self) -> str:
        return "Withdrawal(…)"


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Take a consent back (GDPR art. 7(3)): whoever has the code may. A used code answers the same, a wrong one 404."""
    request.app[SERVICE].guesses.admit(client_address(request))
    given = asking.convert(await bodies.object_of(request, bodies.CODE_BYTES), Withdrawal, spelt=())
    return _erased(await request.app[SERVICE].archive.withdraw(given.code, requests.by_customer(request)))


async def jwks(request: web.Request) -> web.StreamResponse:
    """Publish the keys that receipts are verified with (RFC 7517)."""
    body = msgspec.json.encode(Jwks([Jwk(**jwk) for jwk in request.app[SERVICE].signer.jwks]))
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return web.Response(body=body, content_type=_JWKS, headers=headers)


_ERASED: Final = (Answer({JSON: Erased}), Answer({JSON: Erased}, 202))
_WRITING: Final = (errors.NotFound, errors.StorageFailed, errors.OutcomeUnknown)

ROUTES: Final = (
    Route(
        "DELETE",
        "/v1/dialogs/{dialog_id}",
        erase,
        scopes=("dialogs:write", "privacy"),
        answers=_ERASED,
        refusals=_WRITING,
        tag=tags.WITHDRAWAL,
        operation="rest_erase",
    ),
    Route(
        "POST",
        "/v1/withdrawals",
        withdraw,
        body={JSON: Withdrawal},
        answers=_ERASED,
        refusals=(*_WRITING, errors.TooOften),
        tag=tags.WITHDRAWAL,
        operation="rest_withdraw",
    ),
    Route(
        "GET",
        "/.well-known/jwks.json",
        jwks,
        answers=(Answer({_JWKS: Jwks}),),
        tag=tags.WITHDRAWAL,
        operation="rest_jwks",
    ),
)
