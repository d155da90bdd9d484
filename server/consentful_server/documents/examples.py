"""One example of each type in the documents, as a value of that type, so that the type checker verifies it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from consentful import wire

from .. import errors
from ..access_log.views import LogEntry, Recipient, SeenDialog
from ..annotations.remark import KeptAnnotation
from ..archive.store import ExpiryDay
from ..archive.views import Chat, ChatLine, KeptDialog, KeptMessage, ShownNotice, Summary
from ..consent.notices import Wording
from ..dialogs.pushed import Decided
from ..edges.http import disclosing
from ..edges.http.erasure import Erased
from ..edges.http.list_query import DialogSearch, Search
from ..edges.http.paging import Paged
from ..edges.http.problems import Problem, problem_of
from ..edges.routes import (
    access_log,
    annotations,
    customers,
    erasures,
    health,
    jwks,
    notices,
    operations,
    privacy_requests,
    receipts,
    recipients,
    register,
    retention,
    stats,
    withdraw,
    withdrawals,
)
from ..edges.routes.original import consents, listing, pushes
from ..errors import Refusal
from ..exports.views import Erasure, ShownExport, StaleExport, ToldRecipient
from ..operations.overview import overview
from ..privacy.holdings import Holding, Holdings
from ..telemetry.metrics import Metrics
from ..workers.reports import report_of

_ASKED: Final = "Where is my parcel?"
_ANSWERED: Final = "It arrives tomorrow."
_CUSTOMER_ID: Final = "c-42"
_CUSTOMER: Final = "cus_mfrggzdfmztwq2lknnwg23tpoa"
_DIALOG_ID: Final = "0199f2a4-7c1e-7d3a-9b52-3f8e6a1c0d47"
_EXPORT_ID: Final = "0199f2ab-51d3-7b0a-a7c4-9e2f6b8d1035"
_CODE: Final = "K7QXA-2MNVB-H4RTE-P3WZJ-D6FYC-S"
_RECEIPT: Final = "eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiIwMTk5ZjJhNCJ9.c2lnbmF0dXJl"
_KEY: Final = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_DIGEST: Final = "4a44dc15364204a80fe80e9039455cc1608281820fe2b24f1e5233ade6af1dd5"
_PURPOSES: Final = ("improve-chatbot",)
_SAID_AT: Final = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
_STORED_AT: Final = _SAID_AT + timedelta(seconds=30)
_EXPIRES_AT: Final = _STORED_AT + timedelta(days=365)
_NOTICE: Final = ShownNotice(id="default-1", language="en", sha256=_DIGEST)

_MESSAGE: Final = KeptMessage(
    dialog_id=_DIALOG_ID,
    seq=1,
    customer=_CUSTOMER,
    role="customer",
    text=_ASKED,
    language="en",
    bot="parcel-bot",
    sent_at=_SAID_AT,
    received_at=_SAID_AT,
    stored_at=_STORED_AT,
)
_SUMMARY: Final = Summary(
    dialog_id=_DIALOG_ID,
    customer=_CUSTOMER,
    language="en",
    bot="parcel-bot",
    messages=1,
    opened_at=_SAID_AT,
    received_at=_SAID_AT,
    stored_at=_STORED_AT,
    expires_at=_EXPIRES_AT,
    notice=_NOTICE,
    purposes=_PURPOSES,
    given_by="self",
)
_DIALOG: Final = KeptDialog(
    dialog_id=_DIALOG_ID,
    customer=_CUSTOMER,
    customer_id=_CUSTOMER_ID,
    language="en",
    bot="parcel-bot",
    metadata={"shop": "berlin"},
    opened_at=_SAID_AT,
    received_at=_SAID_AT,
    stored_at=_STORED_AT,
    expires_at=_EXPIRES_AT,
    notice=_NOTICE,
    purposes=_PURPOSES,
    given_by="self",
    receipt=_RECEIPT,
    messages=[msgspec.structs.replace(_MESSAGE, customer_id=_CUSTOMER_ID)],
)
_CHAT: Final = Chat(
    dialog_id=_DIALOG_ID,
    customer=_CUSTOMER,
    language="en",
    bot="parcel-bot",
    stored_at=_STORED_AT,
    messages=[ChatLine("user", _ASKED), ChatLine("assistant", _ANSWERED)],
)
_ANNOTATION: Final = KeptAnnotation(
    dialog_id=_DIALOG_ID,
    seq=1,
    annotator="science",
    labels=("intent/parcel",),
    note="Asks for the parcel, not for the invoice.",
    review="accepted",
    written_at=_STORED_AT,
    etag='"7c1e7d3a9b523f8e6a1c0d47"',
)
_OUTCOME: Final = disclosing.RequestOutcome(
    id="0199f2a9-03b5-7c86-8f1d-52c7e9a4b610",
    kind="erasure",
    status="unreadable",
    received_at=_STORED_AT,
    due_at=_STORED_AT + timedelta(days=30),
    dialogs=1,
    messages=2,
    report=_RECEIPT,
    requested_by="officer",
)

_SHOWN: Final = Wording(
    id="default-1",
    language="en",
    text="May we keep this conversation to improve the chatbot?",
    purposes=_PURPOSES,
    controller="Parcels Ltd",
    contact="privacy@parcels.example",
    retention=timedelta(days=365),
).to_wire()
_ENTRY: Final = LogEntry(
    number=1,
    at=_STORED_AT,
    who="science",
    kind="credential",
    action="messages.read",
    request="0199f2a9-03b5-7c86-8f1d-52c7e9a4b611",
    subject=None,
    filters=("language",),
    values={"language": "en"},
    rows=100,
    dialogs=17,
    link=_DIGEST,
)


def _operations() -> operations.Operations:
    """Return the state of a service that has stored a dialog, and accepts new ones."""
    metrics = Metrics()
    metrics.decisions.labels("stored").inc()
    metrics.consent.observe(0.004)
    ready = {"serving": "ready", "chores": "ready", "store": "ready"}
    now = overview(report_of(metrics), at=_STORED_AT.timestamp(), parts=ready)
    return operations.Operations(now, {"port": "8080", "workers": "1"})


EXAMPLES: Final[Mapping[Any, Any]] = {
    wire.Open: wire.Open(customer_id=_CUSTOMER_ID, language="EN"),
    wire.Message: wire.Message(seq=1, text="Hi"),
    wire.Consent: wire.Consent(granted=True, last_seq=1),
    wire.Opened: wire.Opened(
        _DIALOG_ID,
        _SHOWN,
        wire.Limits(),
    ),
    wire.Ack: wire.Ack(1),
    wire.Stored: wire.Stored(_DIALOG_ID, 1, _STORED_AT, _RECEIPT, _CODE),
    wire.Discarded: wire.Discarded(_DIALOG_ID, 1),
    wire.Closing: wire.Closing("idle", 30),
    wire.Error: wire.Error("gap", str(errors.Gap(2)), seq=3, expected=2),
    KeptMessage: _MESSAGE,
    Summary: _SUMMARY,
    KeptDialog: _DIALOG,
    Chat: _CHAT,
    KeptAnnotation: _ANNOTATION,
    Paged[KeptAnnotation]: Paged([_ANNOTATION], None),
    annotations.Annotation: annotations.Annotation(labels=["intent/parcel"], review="accepted"),
    Paged[Chat]: Paged([_CHAT], None),
    Paged[KeptMessage]: Paged([_MESSAGE], None),
    Paged[Summary]: Paged([_SUMMARY], None),
    stats.Statistics: stats.Statistics(
        [stats.Count(day="2026-01-31", language="en", dialogs=1, messages=2)], stats.Totals(1, 2)
    ),
    stats.OutcomeList: stats.OutcomeList(
        [stats.DayOutcomes(day="2026-01-31", bot="parcel-bot", granted=1, declined=0, dropped=2)]
    ),
    ShownExport: ShownExport(
        id=_EXPORT_ID,
        who="research",
        filter={"language": "en", "watermark": 12},
        began_at=_STORED_AT,
        ended_at=_STORED_AT,
        complete=True,
        shape="messages",
        media="application/vnd.apache.parquet",
        rows=1,
        bytes=4096,
        sha256=_DIGEST,
        damaged=0,
        stale=True,
        erased=[_DIALOG_ID],
    ),
    erasures.Erasures: erasures.Erasures(
        [Erasure(dialog_id=_DIALOG_ID, erased_at=_STORED_AT, exports=[_EXPORT_ID], read=False)],
        "AAAAAAAAAAyXrN4T0lqT1wJ5m8kV2c7A",
        False,
    ),
    Search: Search(q="parcel", language="en", since=_SAID_AT),
    DialogSearch: DialogSearch(metadata={"shop": "Graz"}, order="random", seed=7, limit=50, include="first_text"),
    Erased: Erased(_DIALOG_ID, _STORED_AT, "unreadable"),
    withdrawals.Withdrawal: withdrawals.Withdrawal(_CODE),
    withdrawals.Narrowed: withdrawals.Narrowed(_DIALOG_ID, _PURPOSES),
    withdrawals.QrCode: withdrawals.QrCode(code=_CODE, language="en"),
    withdraw.Code: withdraw.Code(_CODE),
    privacy_requests.Asked: privacy_requests.Asked("erasure", _CUSTOMER_ID),
    disclosing.RequestOutcome: _OUTCOME,
    disclosing.RequestPage: disclosing.RequestPage([msgspec.structs.replace(_OUTCOME, report=None)], None),
    disclosing.Disclosed: disclosing.Disclosed(
        customer_id=_CUSTOMER_ID,
        recipients=[Recipient(who="science", first_at=_STORED_AT, last_at=_STORED_AT, dialogs=1)],
        dialogs=[_DIALOG],
        notices=[_SHOWN],
        request=msgspec.structs.replace(_OUTCOME, kind="access", status="complete", messages=1, report=None),
    ),
    register.Received: register.Received(kind="access", reference="2026/117", received_at=_SAID_AT),
    register.OfficersDecision: register.OfficersDecision(decision="extend", extended_for="complexity"),
    customers.CustomerSearch: customers.CustomerSearch(customer_id=_CUSTOMER_ID),
    Holdings: Holdings(
        customer=_CUSTOMER,
        dialogs=1,
        messages=1,
        items=[
            Holding(dialog_id=_DIALOG_ID, messages=1, purposes=_PURPOSES, stored_at=_STORED_AT, expires_at=_EXPIRES_AT)
        ],
    ),
    receipts.SignedText: receipts.SignedText(_RECEIPT),
    receipts.Verification: receipts.Verification(
        {"jti": _DIALOG_ID, "messages": 1},
        "matches",
        "the stored content is exactly the content that was consented to",
    ),
    recipients.RecipientList: recipients.RecipientList(
        [
            ToldRecipient(
                who="science",
                dialogs=120,
                erased=2,
                unconfirmed=1,
                unconfirmed_since=_STORED_AT,
                exports=[StaleExport(id=_EXPORT_ID, dialogs=100, erased=2, unconfirmed=1)],
            )
        ]
    ),
    notices.NoticeVersions: notices.NoticeVersions(
        [
            notices.NoticeVersion(
                notice=_SHOWN,
                added_at=_SAID_AT,
                retired_at=None,
                is_on_offer=True,
                opened=100,
                granted=61,
                declined=22,
                dropped=17,
            )
        ]
    ),
    retention.RetentionCalendar: retention.RetentionCalendar([ExpiryDay("2027-01-31", 12)], 0, "running"),
    access_log.LogSearch: access_log.LogSearch(customer_id=_CUSTOMER_ID, since=_SAID_AT),
    access_log.LogPage: access_log.LogPage([_ENTRY], None, f"1:{_DIGEST}"),
    access_log.Verifying: access_log.Verifying(head=f"1:{_DIGEST}"),
    access_log.LogVerification: access_log.LogVerification(
        verified=1, entries=1, head=f"1:{_DIGEST}", at=_STORED_AT, fault=None, next=None
    ),
    access_log.SeenDialogs: access_log.SeenDialogs(
        [SeenDialog(dialog_id=_DIALOG_ID, customer=_CUSTOMER, erased_at=None)], None, []
    ),
    LogEntry: _ENTRY,
    pushes.Pushed: pushes.Pushed(_ASKED, "EN", sentAt=_SAID_AT),
    pushes.PushedForm: pushes.PushedForm(_ASKED, "EN", sentAt=_SAID_AT),
    pushes.Held: pushes.Held("d-1", 1),
    consents.Decision: consents.Decision(consent=True, messages=2),
    consents.DECISION_FORM: consents.DecisionForm("true"),
    Decided: Decided("d-1", True, 2, _RECEIPT, _CODE, "/withdraw", f"/withdraw#{_CODE}"),
    wire.Notice: _SHOWN,
    listing.Datum: listing.Datum(_CUSTOMER_ID, "d-1", _ANSWERED, "EN", _SAID_AT),
    consents.DECISION: True,
    consents.Spelt: "true",
    list[listing.Datum]: [listing.Datum(_CUSTOMER_ID, "d-1", _ANSWERED, "EN", _SAID_AT)],
    jwks.Jwks: jwks.Jwks([jwks.Jwk("OKP", "Ed25519", _KEY, "Q0cs5uDSfCPd1KTWRH", "sig", "EdDSA")]),
    health.Health: health.Health("ok"),
    operations.Operations: _operations(),
    Problem: problem_of(errors.BadRequest("limit", "Expected `int` <= 1000")),
}

_REFUSALS: Final[Mapping[type[Refusal], Refusal]] = {
    type(refusal): refusal
    for refusal in (
        errors.OutOfOrder("send `open` first"),
        errors.Gap(2),
        errors.OverLimit("max_text_bytes", 32768, 1),
        errors.Incomplete(2),
        errors.Erased(_DIALOG_ID, _STORED_AT),
        errors.Lost("limit", dropped=False),
        errors.ChoresFailing(["retention"]),
        errors.Forbidden("a scope that the token does not have"),
        errors.BadRequest("limit", "Expected `int` <= 1000"),
        errors.NotAcceptable("application/json, application/x-ndjson"),
        errors.WrongMediaType("application/json"),
        errors.Damaged(_DIALOG_ID),
        errors.Unsupported("the original HTTP contract requires one process; start the server with --workers 1"),
    )
}


def refusal_of(kind: type[Refusal]) -> Refusal:
    """Return an example of a refusal."""
    return _REFUSALS.get(kind) or kind()
