"""Privacy requests as clients see them, and the document that answers a request for access or portability."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Final

import msgspec

from consentful import wire

from ...access_log.views import Recipient
from ...archive.views import KeptDialog, ShownNotice
from ...privacy import disclosure
from ...privacy.requests import PrivacyRequests
from ...privacy.store import Extension, Ground, PrivacyRequest, Reference


class RequestOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request, and its outcome.

    One that is carried out later is `open` until it is `answered`, `refused` (`refused_for`) or `withdrawn`; it may
    have been `extended_for` a reason. `answers` is the id of the open request that this one helps to answer.

    `status` of an erasure is `pending`, `unreadable` or `complete`, as in `Erased`; the server retries what is pending.
    `report` is a compact JWS with the result of the verification; `/.well-known/jwks.json` has its key.

    An access or portability request is `complete` once all of the answer was sent, and `incomplete` before that, or if
    the connection was lost, or if the answer had to leave out the `damaged` dialogs: restore these from a backup, then
    ask again. `dialogs` and `messages` count what was erased or sent.

    With `purposes`, the request was made with a key that is bound to them, and concerns only dialogs granted for one of
    them; without, all dialogs of the customer. `requested_by` is the credential that made it.
    """

    id: str
    kind: str
    status: str
    received_at: datetime
    due_at: datetime
    dialogs: int
    messages: int
    report: str | None = None
    purposes: tuple[str, ...] | None = None
    damaged: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    requested_by: str | None = None
    reference: Reference | None = None
    extended_for: Extension | None = None
    refused_for: Ground | None = None
    answers: str | None = None


class RequestPage(msgspec.Struct, frozen=True):
    """One page of the list of requests. `next` is the cursor of the next page, null at the end."""

    items: list[RequestOutcome]
    next: str | None


class Disclosed(msgspec.Struct, frozen=True, kw_only=True):
    """All stored data of one customer, machine-readable (GDPR art. 15, 20).

    `recipients` are the credentials that read some of it. Each dialog has its purposes, its retention time, and the
    `annotations` that your colleagues made. `notices` have the wordings that the customer agreed to, with the
    customer's rights and where to complain. `request` comes last, and says whether the answer is complete.
    """

    customer_id: str
    source: str = "the customer's own conversations with the chatbot"
    automated_decisions: str = "none are made here"
    recipients: list[Recipient]
    dialogs: list[KeptDialog]
    notices: list[wire.Notice]
    request: RequestOutcome

    def __repr__(self) -> str:
        return f"Disclosed({self.request.id!r}, dialogs={len(self.dialogs)})"


def outcome_of(done: PrivacyRequest) -> RequestOutcome:
    """Return a request as clients see it."""
    return RequestOutcome(
        done.id,
        done.kind,
        done.status,
        done.received,
        done.due,
        done.dialogs,
        done.messages,
        done.report,
        done.purposes,
        done.damaged or msgspec.UNSET,
        done.requested_by,
        done.reference,
        done.extended_for,
        done.refused_for,
        done.answers,
    )


async def document(
    requests: PrivacyRequests, customer_id: str, answer: disclosure.Disclosed, check: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes]:
    """Yield one customer's data as one JSON document, a dialog at a time. `check` is awaited before each dialog.

    Call `answer.finish` once all of it has reached the customer's officer.
    """
    shown = set[ShownNotice]()
    yield _head(customer_id, answer)
    separator = b""
    async with aclosing(answer.dialogs(check)) as dialogs:
        async for dialog in dialogs:
            yield separator + msgspec.json.encode(dialog)
            separator = b","
            shown.add(dialog.notice)
    yield _tail(await requests.notices(shown), answer)


def _head(customer_id: str, answer: disclosure.Disclosed) -> bytes:
    """Return the document up to the opening bracket of `dialogs`."""
    return _document(customer_id, answer, []).partition(_AFTER_DIALOGS)[0]


def _tail(notices: list[wire.Notice], answer: disclosure.Disclosed) -> bytes:
    """Return the document from the closing bracket of `dialogs` on."""
    return _AFTER_DIALOGS + _document("", answer, notices).partition(_AFTER_DIALOGS)[2]


_AFTER_DIALOGS: Final = b'],"notices":'
"""Cannot occur before it does: inside of a string the quotes would be escaped."""


def _document(customer_id: str, answer: disclosure.Disclosed, notices: list[wire.Notice]) -> bytes:
    """Return the document without its dialogs."""
    return msgspec.json.encode(
        Disclosed(
            customer_id=customer_id,
            recipients=answer.recipients,
            dialogs=[],
            notices=notices,
            request=outcome_of(answer.outcome),
        )
    )
