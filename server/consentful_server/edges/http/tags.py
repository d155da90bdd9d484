"""The tags of the OpenAPI document. They are public names, so they do not follow file names."""

from typing import Final, NamedTuple


class Tag(NamedTuple):
    """One group of operations."""

    name: str
    description: str


DATA: Final = Tag("Stored dialogs", "Messages and dialogs that were stored with consent: pages, streams, text search.")
ANNOTATIONS: Final = Tag("Annotations", "Labels, notes and review status, stored and erased with their dialog.")
STATISTICS: Final = Tag("Statistics", "Counts of stored dialogs and messages, and outcomes of dialogs.")
EXPORTS: Final = Tag("Exports and erasures", "Manifests of exports, and the feed of erased dialogs (GDPR art. 19).")
WITHDRAWAL: Final = Tag("Withdrawal and keys", "Withdrawal of a consent, and the public keys that verify receipts.")
PRIVACY: Final = Tag("Privacy requests", "Access, portability and erasure of one customer (GDPR art. 15, 20, 17).")
ACCESS_LOG: Final = Tag("Access log", "Who read, erased or changed what, and when (GDPR art. 32, 33).")
WITHDRAWAL_PAGE: Final = Tag("Withdrawal page", "Withdrawal without a login or JavaScript (GDPR art. 7(3)).")
ORIGINAL: Final = Tag("Original contract", "The HTTP contract for chatbots without WebSockets.")
LIVE: Final = Tag("Live dialog", "The WebSocket of a dialog; `/asyncapi.json` describes its frames.")
EXPLORER: Final = Tag("Explorer", "The web page that shows the stored data.")
DOCUMENTS: Final = Tag("Documents", "The API descriptions, for programs and for people.")
PAGES: Final = Tag("Pages and operations", "The bundled pages, health checks and metrics.")

ALL: Final = (
    DATA,
    ANNOTATIONS,
    STATISTICS,
    EXPORTS,
    WITHDRAWAL,
    PRIVACY,
    ACCESS_LOG,
    WITHDRAWAL_PAGE,
    ORIGINAL,
    LIVE,
    EXPLORER,
    DOCUMENTS,
    PAGES,
)
"""All tags, in the order of the document."""
