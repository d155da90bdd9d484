"""The receipt: what a customer holds as proof says who agreed to what, and nothing that was said (GDPR art. 7(1))."""

from datetime import UTC, datetime, timedelta

from consentful_server.consent.notices import Terms, Wording
from consentful_server.consent.receipt import receipt_claims
from consentful_server.consent.record import Record, canonical_content, expiry

WORDING = Wording(
    id="n-1",
    language="en",
    text="May we?",
    purposes=("improve", "research"),
    controller="Shop",
    contact="privacy@shop.example",
    retention=timedelta(days=30),
    terms=Terms(recipients=("Annotators Ltd",), transfers=("US, SCC",), jurisdiction="NL", special_categories=True),
)
RECORD = Record(
    dialog_id="d-1",
    customer="cus_x",
    owner="shop",
    bot="helper",
    channel="websocket",
    notice_id="n-1",
    notice_language="en",
    notice_sha256="00ff",
    purposes=("improve",),
    given_by="representative",
    decided_at=1_767_225_600_999_999,
    expires_at=1_769_817_600_999_999,
)


def test_a_receipt_states_all_of_it() -> None:
    claims = receipt_claims(RECORD, WORDING, issuer="https://chat.example", messages=3, content=b"\x01\xff")

    assert claims == {
        "iss": "https://chat.example",
        "sub": "cus_x",
        "iat": 1_767_225_600,
        "jti": "d-1",
        "schema": "ISO/IEC TS 27560:2023",
        "jurisdiction": "NL",
        "controller": {"name": "Shop", "contact": "privacy@shop.example"},
        "notice": {"id": "n-1", "language": "en", "sha256": "00ff"},
        "purposes": ["improve"],
        "legal_basis": "consent (GDPR art. 6(1)(a))",
        "consent_type": "explicit",
        "data_categories": ["messages", "customer id", "metadata", "language", "times"],
        "special_categories": True,
        "recipients": ["Annotators Ltd"],
        "transfers": ["US, SCC"],
        "given_by": "representative",
        "method": "websocket",
        "bot": "helper",
        "retention_until": 1_769_817_600,
        "messages": 3,
        "content_hmac_sha256": "01ff",
        "rights": ["access", "rectification", "erasure", "restriction", "portability", "withdrawal"],
        "complaint": "any data protection authority",
        "withdraw": "with the withdrawal code on the withdrawal page, or by asking the controller",
    }


def test_a_receipt_names_the_page_where_the_consent_can_be_withdrawn_if_it_is_known() -> None:
    page = "https://chat.example/withdraw"

    claims = receipt_claims(RECORD, WORDING, issuer="x", messages=3, content=b"", withdrawal_page=page)

    assert claims["withdraw_url"] == page


def test_what_an_earlier_version_recorded_is_still_the_same() -> None:
    """Every seal is bound to the record's digest, and a replay is told by the content: these bytes never change."""
    record = Record("d-1", "cus_x", "shop", None, "websocket", "n-1", "en", "00", ("a", "b"), "self", 1, 2)
    content = canonical_content("c-1", "n-1", [(1, "customer", "Hi", "en"), (2, "bot", "Hello", None)])

    assert record.digest().hex() == "5b251476671a387818f6f6edd7250ab220b7cf99b3635fd455b437fa1625257b"
    assert content.hex() == "9401a3632d31a36e2d31929401a8637573746f6d6572a24869a2656e9402a3626f74a548656c6c6fc0"


def test_a_dialog_must_be_gone_when_its_notice_said() -> None:
    decided_at = datetime(2026, 1, 31, 12, tzinfo=UTC)

    assert expiry(decided_at, WORDING) == datetime(2026, 3, 2, 12, tzinfo=UTC)
