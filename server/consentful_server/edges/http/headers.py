"""The names of our own headers; those of RFCs are in `aiohttp.hdrs`."""

from typing import Final

EXPORT_ID: Final = "Export-Id"
EXPORT_ROWS: Final = "Export-Rows"
EXPORT_SHA256: Final = "Export-Sha256"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
REQUEST_ID: Final = "Request-Id"
