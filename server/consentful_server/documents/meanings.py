"""What each field means, for the documents: a sentence where a field's name and type do not say it.

A field means the same wherever it has the same name, unless its type has a meaning of its own for it. What the types
say themselves, in their annotations, is left as it is.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from .meanings_for_officers import OF_FIGURES, OF_RECORDS

Json: TypeAlias = dict[str, Any]

FIELDS: Final[Mapping[str, str]] = {
    "type": "which frame it is",
    "dialog_id": "the dialog's id: the one that `open` named, or a UUIDv7 that the server made",
    "seq": "the number of the message in its dialog: 1, 2, 3 … without gaps",
    "customer": "the customer's pseudonym, a keyed hash of the chatbot's own id",
    "customer_id": "the chatbot's own id of the customer; to read it takes the scope `data:identify`",
    "text": "the words of the message, 1 byte to `max_text_bytes` of UTF-8",
    "role": "who said it; `agent` is a human of the operator's",
    "language": "BCP 47 tag",
    "bot": "the name of the chatbot",
    "metadata": "the chatbot's own notes, keys and values of at most 4 KiB together; sealed, as texts are",
    "sent_at": "when the chatbot sent the message, by its own clock",
    "received_at": "when the server received the message, by its own clock",
    "opened_at": "when the dialog was opened",
    "stored_at": "when the dialog was durably stored",
    "expires_at": "when the dialog is erased at the latest: its retention ends",
    "erased_at": "when the dialog became unreadable",
    "purposes": "what the data may be used for, as ids of the notice's purposes",
    "given_by": "who consented: the customer, or a person who represents the customer",
    "receipt": "the signed proof of the consent, a compact JWS (RFC 7515)",
    "withdrawal_code": "takes the consent back, without a login; give it to the customer, it is shown once",
    "notice": "the notice that was shown to the customer",
    "sha256": "the SHA-256 digest, in hexadecimal digits",
    "items": "the entries, in the order of the list",
    "next": "pass it as `cursor` to get the next page; null after the last one, but never with `order=stored`",
    "more": "with `order=stored`: whether there is more after this page now",
    "dialogs": "the number of dialogs",
    "messages": "the number of messages",
    "rows": "the number of rows",
    "day": "the day, in UTC",
    "length": "the number of messages in the dialog, as a range",
    "purpose": "the id of a purpose",
    "granted": "dialogs whose customers agreed",
    "declined": "dialogs whose customers did not agree; nothing of them is stored",
    "dropped": "dialogs that ended without a decision; nothing of them is stored",
    "code": "the stable name of the error",
    "detail": "what is wrong and what to do next; never the text of a message",
    "who": "the credential that acted, by its name or id",
    "dialogId": "the dialog's id, which the chatbot chose",
    "customerId": "the chatbot's own id of the customer",
    "timestamp": "when the server received the message",
    "withdrawalCode": "takes the consent back, without a login; give it to the customer",
    "withdrawUrl": "the page that takes the withdrawal code",
    "terms": "the information of GDPR art. 13 as fields; absent from older servers",
    "controller": "who is responsible for the data, as the notice says",
    "contact": "how to reach the controller, or its data protection officer",
    "legal_basis": "the ground for keeping the data, such as GDPR art. 6(1)(a)",
    "recipients": "who receives the data",
    "transfers": "countries outside of the EU that the data are transferred to, and with which safeguards",
    "retention_days": "how many days the dialog is kept at most",
    "rights": "the rights that the customer has",
    "complaint": "the supervisory authority that takes complaints",
    "withdraw": "how the customer takes the consent back",
    "jurisdiction": "the country whose law applies, as its code in ISO 3166-1",
    "special_categories": "whether the notice asks explicitly for data such as health or belief (GDPR art. 9)",
}

OF_TYPES: Final[Mapping[tuple[str, str], str]] = {
    **OF_FIGURES,
    **OF_RECORDS,
    ("Open", "dialog_id"): "the id to use, if the chatbot has one; a UUIDv7 is made otherwise",
    ("Open", "language"): "the language of messages that name none, and of the notice",
    ("Message", "language"): "the message's own language, if it is not the dialog's",
    ("Message", "sent_at"): "when the chatbot sent it; replays repeat it",
    ("Consent", "granted"): "the customer's decision: true stores the whole dialog, false discards it",
    ("Consent", "last_seq"): "how many messages the chatbot sent; a dialog that is not complete is never stored",
    ("Consent", "notice"): "the id of the notice that was shown, if it is not the one in `opened`",
    ("Consent", "purposes"): "the purposes that the customer agreed to; all of the notice's if absent",
    ("Consent", "retract"): "with `granted: false`: also undo an earlier grant whose answer was lost",
    ("Opened", "notice"): "the notice to show when asking for consent",
    ("Opened", "limits"): "what this server accepts",
    ("Notice", "id"): "names this version of the notice",
    ("Notice", "language"): "the language of the text: the nearest to the dialog's that the notice has",
    ("Notice", "text"): "the exact words to show",
    ("Notice", "sha256"): "the digest of the text in UTF-8, in hexadecimal digits; the receipt repeats it",
    ("Notice", "purposes"): "what the customer may agree to",
    ("Notice", "purpose_names"): "what to show for each purpose instead of its id; absent if the notice names none",
    ("Limits", "max_frame_bytes"): "the largest frame; a larger one closes the connection with 1009",
    ("Limits", "max_text_bytes"): "the longest text of a message, in bytes of UTF-8",
    ("Limits", "max_dialog_bytes"): "all texts of a dialog together, in bytes of UTF-8",
    ("Limits", "max_messages"): "how many messages a dialog has at most",
    ("Limits", "idle_timeout_s"): "seconds without a message after which the dialog is discarded",
    ("Limits", "max_duration_s"): "seconds after which the dialog is discarded, however busy it is",
    ("Ack", "seq"): "every message up to this number is held in memory; none is stored yet",
    ("Stored", "messages"): "how many messages were stored",
    ("Stored", "stored_at"): "when the transaction was durable",
    ("Discarded", "messages"): "how many messages were discarded",
    ("Closing", "reason"): "why: nobody spoke, the dialog is too long open, or the server is shutting down",
    ("Closing", "in_s"): "in how many seconds",
    ("Error", "code"): "the stable name of the error; see Errors",
    ("Error", "seq"): "the message that the error is about",
    ("Error", "expected"): "the number of the message to go on with",
    ("Error", "retry"): "whether the same frame can succeed later",
    ("Error", "retry_after_s"): "seconds to wait before that",
    ("Problem", "type"): "always `about:blank`: `code` tells the kind of problem",
    ("Problem", "title"): "the HTTP status in words",
    ("Problem", "status"): "the HTTP status",
    ("Problem", "parameter"): "the parameter or field that is malformed",
    ("Open", "customer_id"): "the chatbot's own id of the customer; data scientists see a pseudonym",
    ("Paged", "damaged"): "ids of dialogs that fail their integrity check: restore them from a backup, or erase them",
    ("RequestOutcome", "damaged"): "ids of dialogs that fail their integrity check, and were left out",
    ("ShownExport", "damaged"): "how many dialogs match and could not be opened",
    ("Jwks", "keys"): "the keys that verify receipts and reports, old ones too",
    ("Jwk", "kty"): "the family of the key (RFC 8037)",
    ("Jwk", "crv"): "the curve of the key",
    ("Jwk", "x"): "the public key, in base64url",
    ("Jwk", "kid"): "the id of the key, as signatures name it",
    ("Jwk", "use"): "what the key is for: signatures",
    ("Jwk", "alg"): "the algorithm of the signatures",
    ("Held", "messages"): "how many messages are held now",
    ("Decided", "consent"): "the decision that was carried out",
    ("LogVerification", "verified"): "up to which entry the chain is intact",
    ("LogVerification", "entries"): "how many entries the log has",
    ("LogVerification", "head"): "the head of the verified entries; save it for the next verification",
    ("LogVerification", "at"): "when this step ended",
    ("LogVerification", "fault"): "what was altered first; null if nothing was, so far",
    ("LogEntry", "link"): "chains the entry to the one before",
    ("LogEntry", "filters"): "the names of the filters",
    ("LogEntry", "values"): "their values; null once these were erased",
    ("KeptDialog", "messages"): "the messages, in the order in which they were said",
    ("Chat", "messages"): "the messages, in the order in which they were said",
    ("Withdrawal", "code"): "the withdrawal code, in any case, with or without hyphens",
    ("Withdrawal", "purposes"): "withdraw for these alone; if absent, for all, and the dialog is erased",
    ("Narrowed", "purposes"): "the purposes that the customer still consents to",
    ("Narrowed", "status"): "always `narrowed`: the dialog is still stored",
    ("Annotation", "review"): "whether the text is good to use",
    ("KeptAnnotation", "annotator"): "the credential that wrote it",
    ("KeptAnnotation", "labels"): "names from your vocabulary",
    ("KeptAnnotation", "note"): "free text",
    ("KeptAnnotation", "review"): "whether the text is good to use; `pending`: somebody has to look again",
    ("KeptAnnotation", "written_at"): "when it was written",
    ("KeptAnnotation", "etag"): "changes with the annotation; send it as `If-Match` to change what you have seen",
    ("KeptMessage", "metadata"): "the metadata of its dialog, if `include` asks for it",
    ("KeptDialog", "annotations"): "what annotators said of it; in answers to privacy requests alone",
    ("Summary", "annotations"): "what annotators said of it, if `include` asks for it",
    ("Summary", "first_text"): "the beginning of its first message, if `include` asks for it",
    ("ChatLine", "content"): "the words of the message",
    ("Code", "step"): "`choose` shows the purposes, `chosen` withdraws for those chosen; without, the dialog is erased",
    ("Decided", "withdrawLink"): "the page with the code in its fragment, for the customer alone",
    ("Problem", "request_id"): "the response's `Request-Id`, which the server's log lines have as `request`",
    ("ShownNotice", "id"): "names this version of the notice",
    ("Statistics", "totals"): "all dialogs and messages that match; a dialog of several groups counts once",
    ("QrCode", "code"): "the withdrawal code, exactly as in `stored`",
    ("QrCode", "language"): "the language of the withdrawal page; else it follows the customer's browser",
    ("Code", "code"): "the withdrawal code, in any case, with or without hyphens",
}


def with_meanings(name: str, schema: Json) -> Json:
    """Return the schema of the type with this name, with a meaning for each field that has one and tells none."""
    fields: dict[str, Json] = schema.get("properties", {})
    if not fields:
        return schema
    return schema | {"properties": {field: _told(name, field, about) for field, about in fields.items()}}


def _told(name: str, field: str, about: Json) -> Json:
    own = OF_TYPES.get((name.partition("_")[0], field))  # a generic type's name has its argument's behind it
    meaning = own or ("" if _tells(about) else FIELDS.get(field, ""))
    return about | {"description": meaning} if meaning else about


def _tells(about: Json) -> bool:
    """Return whether the field's own annotation has a description."""
    choices: list[dict[str, Any]] = [about, *about.get("anyOf", [])]
    return any("description" in choice for choice in choices)
