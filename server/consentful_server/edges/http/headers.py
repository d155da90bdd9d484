"""The names of this service's own headers. `aiohttp.hdrs` has those of the RFCs."""

from typing import Final

EXPORT_ID: Final = "Export-Id"
EXPORT_ROWS: Final = "Export-Rows"
EXPORT_SHA256: Final = "Export-Sha256"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
REQUEST_ID: Final = "Request-Id"
X_REQUEST_ID: Final = "X-Request-Id"
"""Proxies' name for the id that they give to a request."""
