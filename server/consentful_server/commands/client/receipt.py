"""`consentful verify RECEIPT --jwks …`: verify a receipt with published keys alone, and tell what it says."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from rich.console import Console

from ...errors import BadSetting
from ...keys.jwks import read_jwks, verified
from ...settings import is_safe

_WELL_KNOWN: Final = "/.well-known/jwks.json"
_WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 1024 * 1024
"""No JWK set is longer."""

_TIMES: Final = frozenset({"iat", "retention_until"})
_LABELS: Final[Mapping[str, str]] = {
    "iss": "Issued by",
    "iat": "Issued at",
    "jti": "Dialog",
    "sub": "Customer (pseudonym)",
    "messages": "Messages",
    "controller.name": "Controller",
    "controller.contact": "Contact",
    "purposes": "Purposes",
    "legal_basis": "Legal basis",
    "consent_type": "Consent",
    "given_by": "Given by",
    "method": "Given through",
    "bot": "Chatbot",
    "notice.id": "Notice",
    "notice.language": "Language of the notice",
    "notice.sha256": "SHA-256 of the notice",
    "data_categories": "Categories of data",
    "special_categories": "Special categories (art. 9)",
    "recipients": "Recipients",
    "transfers": "Transfers to third countries",
    "retention_until": "Kept until",
    "rights": "Rights",
    "complaint": "Complaints to",
    "withdraw": "To withdraw",
    "withdraw_url": "Withdraw at",
    "jurisdiction": "Jurisdiction",
}
_REPORT_LABELS: Final[Mapping[str, str]] = {
    "iss": "Issued by",
    "iat": "Issued at",
    "jti": "Request",
    "status": "Status",
    "dialogs": "Erased dialogs",
    "keys_left": "Keys left",
    "rows_left": "Rows left",
    "earlier_copies_left": "Earlier copies of keys left",
}
_NARROWING_LABELS: Final[Mapping[str, str]] = {
    "iss": "Issued by",
    "iat": "Issued at",
    "jti": "Dialog",
    "withdrawn": "Withdrawn for",
    "purposes": "Still stored for",
}
_END_LABELS: Final[Mapping[str, str]] = {
    "iss": "Issued by",
    "iat": "Issued at",
    "jti": "Report",
    "database": "Database",
    "dialogs": "Dialogs destroyed",
    "messages": "Messages destroyed",
    "exports": "Exports made before",
    "keys_left": "Keys left",
    "data_left": "Files or rows left",
    "backups_destroyed": "Backups destroyed",
    "unknown": "Cannot be known",
}
_KINDS: Final[Mapping[Any, tuple[str, Mapping[str, str]]]] = {
    "erasure": ("report of an erasure", _REPORT_LABELS),
    "withdrawal": ("confirmation of a withdrawal", _REPORT_LABELS),
    "narrowing": ("confirmation of a withdrawal for some purposes", _NARROWING_LABELS),
    "decommission": ("report of a decommissioning", _END_LABELS),
}


def verify_receipt(receipt: str, jwks: str, console: Console) -> int:
    """Verify the receipt with the keys at `jwks`, a file or a URL, print what it says, and return the exit status.

    Raises:
        BadSetting: If there is no JWK set at `jwks`.
        BadReceipt: If the receipt is malformed, or none of the keys signed it.
    """
    claims = verified(receipt, read_jwks(_content(jwks)))
    kind, labels = _KINDS.get(claims.get("kind"), ("consent receipt", _LABELS))
    console.print(f"Valid: this {kind} was signed with a key of the JWK set, and was not altered since.")
    for label, text in statements(claims, labels):
        console.print(f"{label + ':':<30}{text}", markup=False, highlight=False, soft_wrap=True)
    return 0


def statements(claims: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what the claims say, each with its label. Claims that are absent or empty say nothing."""
    for path, label in labels.items():
        name, _, member = path.partition(".")
        value = claims.get(name)
        if member:
            value = value.get(member) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        text = _moment(value) if name in _TIMES else _text(value)
        if text:
            yield label, text


def _text(value: Any) -> str:
    """Return a claim in plain words, without characters that could control a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(map(_text, value))  # pyright: ignore[reportUnknownArgumentType]
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def _moment(value: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError, OSError):
        return _text(value)


def _content(jwks: str) -> bytes:
    """Return what is at a path or a URL.

    Raises:
        BadSetting: If it cannot be read.
    """
    if "://" in jwks:
        return asyncio.run(_fetch(jwks))
    try:
        return Path(jwks).read_bytes()
    except OSError as error:
        raise BadSetting("jwks", f"must be a file or a URL; {jwks} cannot be read ({error.strerror})") from None


async def _fetch(url: str) -> bytes:
    if not is_safe(url):
        raise BadSetting("jwks", f"must be an https:// URL (http:// on loopback only), or a file; {url} is neither")
    address = url.rstrip("/") + _WELL_KNOWN if urlsplit(url).path in ("", "/") else url
    timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(address, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise BadSetting("jwks", f"{address} answered with HTTP {response.status}, not with a JWK set")
            return b"".join([chunk async for chunk in _limited(response.content)])
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = f"{address} cannot be reached ({type(error).__name__}); try again, or save it and name the file"
    raise BadSetting("jwks", reason)


async def _limited(body: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    size = 0
    async for chunk in body.iter_any():
        size += len(chunk)
        if size > _MOST_BYTES:
            raise ValueError("too long for a JWK set")
        yield chunk
