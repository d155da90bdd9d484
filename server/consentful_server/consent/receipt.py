"""The receipt: a customer's proof of a consent. Pure; `keys.signing` signs it."""

from collections.abc import Mapping
from typing import Any, Final

from .notices import Wording
from .record import Record

RECEIPT_SCHEMA: Final = "ISO/IEC TS 27560:2023"


def receipt_claims(
    record: Record,
    wording: Wording,
    *,
    issuer: str,
    messages: int,
    content: bytes,
    withdrawal_page: str | None = None,
) -> Mapping[str, Any]:
    """Return the claims of a receipt (ISO/IEC TS 27560, Kantara Consent Receipt 1.1), bound to the dialog's content.

    `content` is an HMAC under the dialog's key. A plain hash of a short text could be guessed; this one means nothing
    once the key is destroyed. `withdrawal_page` is the URL where the customer can withdraw (GDPR art. 7(3)), if the
    service knows its own.
    """
    return {
        "iss": issuer,
        "sub": record.customer,
        "iat": record.decided_at // 1_000_000,  # NumericDate: seconds (RFC 7519 §2)
        "jti": record.dialog_id,
        "schema": RECEIPT_SCHEMA,
        "jurisdiction": wording.terms.jurisdiction,
        "controller": {"name": wording.controller, "contact": wording.contact},
        "notice": {"id": record.notice_id, "language": record.notice_language, "sha256": record.notice_sha256},
        "purposes": list(record.purposes),
        "legal_basis": wording.terms.legal_basis,
        "consent_type": "explicit",
        "data_categories": ["messages", "customer id", "metadata", "language", "times"],
        "special_categories": wording.terms.special_categories,
        "recipients": list(wording.terms.recipients),
        "transfers": list(wording.terms.transfers),
        "given_by": record.given_by,
        "method": record.channel,
        "bot": record.bot,
        "retention_until": record.expires_at // 1_000_000,
        "messages": messages,
        "content_hmac_sha256": content.hex(),
        "rights": list(wording.terms.rights),
        "complaint": wording.terms.complaint,
        "withdraw": wording.terms.withdraw,
    } | ({} if withdrawal_page is None else {"withdraw_url": withdrawal_page})
