"""The token of a request."""

from aiohttp import hdrs

from .head import Head


def bearer(head: Head) -> str | None:
    """Return the token of `Authorization: Bearer …` (RFC 6750 §2.1)."""
    scheme, _, token = head.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
