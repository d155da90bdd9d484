"""The groups of the OpenAPI document. They are public names, so they do not follow files."""

from typing import Final, NamedTuple


class Tag(NamedTuple):
    """One group of operations."""

    name: str
    description: str


DATA: Final = Tag("Kept dialogs", "Messages and dialogs that customers agreed to keep: pages, streams, text search.")
STATISTICS: Final = Tag("Statistics", "How much is kept, of what, and how dialogs ended.")
EXPORTS: Final = Tag("Exports and erasures", "Manifests of exports, and the feed of erased dialogs (GDPR art. 19).")
WITHDRAWAL: Final = Tag("Withdrawal and keys", "Withdraw a consent, and the keys that verify receipts.")
PRIVACY: Final = Tag("Privacy requests", "Access, portability and erasure of one customer (GDPR art. 15, 20, 17).")
ACCESS_LOG: Final = Tag("Access log", "Who read, erased or changed what, and when (GDPR art. 32, 33).")
WITHDRAWAL_PAGE: Final = Tag("Withdrawal page", "Withdraw a consent without a login or a script (GDPR art. 7(3)).")
ORIGINAL: Final = Tag("Original contract", "For chatbots that speak plain HTTP.")
LIVE: Final = Tag("Live dialog", "The WebSocket of a dialog; `/asyncapi.json` describes its frames.")
EXPLORER: Final = Tag("Explorer", "The page over the stored data, and the plotting library that it uses.")
DOCUMENTS: Final = Tag("Documents", "The service's own description, for machines and people.")
PAGES: Final = Tag("Pages and operations", "The bundled pages, health checks and metrics.")

ALL: Final = (
    DATA,
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
"""In the order of reading."""
