"""`consentful verify`: check that a receipt or an erasure report is genuine, and that a text is in no file."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from joserfc.errors import JoseError

from ..archive.store import StoredDialog, Tombstone
from ..errors import BadRequest, Damaged
from ..keys.jwks import BadReceipt
from ..service import Service

_BLOCK_BYTES: Final = 1024 * 1024
_SHORTEST_MARKER: Final = 6


class Verdict(msgspec.Struct, frozen=True):
    """The result for a receipt or report whose signature is valid."""

    claims: Mapping[str, Any]
    content: Literal["matches", "differs", "erased", "not here"]
    detail: str

    @property
    def is_good(self) -> bool:
        """Whether the store does not contradict what was signed."""
        return self.content != "differs"


async def check_receipt(signed: str, service: Service) -> Verdict:
    """Verify the signature of a receipt or an erasure report, and compare what it states with the store.

    Raises:
        BadReceipt: If it is malformed, or was not signed with a key of this deployment.
    """
    try:
        claims = service.signer.verified(signed.strip())
        check = _CHECKS.get(claims.get("kind"), _check_content)
        return await check(claims, service)
    except (JoseError, KeyError, ValueError) as error:
        raise BadReceipt(f"not a receipt or report that this deployment signed ({type(error).__name__})") from None


async def _check_content(claims: Mapping[str, Any], service: Service) -> Verdict:
    """Compare the content that a receipt states with what is stored."""
    digest = bytes.fromhex(str(claims["content_hmac_sha256"]))
    found = await service.archive.find(str(claims["jti"]))
    if not isinstance(found, StoredDialog):
        return _not_stored(claims, found)
    try:
        is_same = service.archive.content_digest(found) == digest
    except Damaged as damage:
        return Verdict(claims, "differs", str(damage))
    if not is_same:
        return Verdict(claims, "differs", "the stored content differs from the content that was consented to")
    return Verdict(claims, "matches", "the stored content is exactly the content that was consented to")


def _not_stored(claims: Mapping[str, Any], found: Tombstone | None) -> Verdict:
    if found is None:
        return Verdict(claims, "not here", "the dialog is not in this database")
    return Verdict(claims, "erased", f"the dialog was erased on {found.moment:%Y-%m-%d %H:%M} UTC")


async def _check_report(claims: Mapping[str, Any], service: Service) -> Verdict:
    """Look for the dialogs of an erasure report (GDPR art. 17) in the store."""
    dialogs: list[str] = claims["dialogs"]
    left = await service.store.dialogs.still_stored(dialogs)
    if left:
        return Verdict(
            claims, "differs", f"{len(left)} of the {len(dialogs)} erased dialogs are stored; erase them again"
        )
    return Verdict(claims, "erased", f"none of the {len(dialogs)} dialogs is stored")


async def _check_narrowing(claims: Mapping[str, Any], service: Service) -> Verdict:
    """Compare the confirmation of a withdrawal for some purposes with the consent that is stored now."""
    found = await service.archive.find(str(claims["jti"]))
    if not isinstance(found, StoredDialog):
        return _not_stored(claims, found)
    still = set(found.record.purposes).intersection(claims["withdrawn"])
    if still:
        return Verdict(claims, "differs", f"it is stored for {len(still)} withdrawn purposes; withdraw them again")
    return Verdict(claims, "matches", "the dialog is stored for none of the withdrawn purposes")


_CHECKS: Final[Mapping[Any, Callable[[Mapping[str, Any], Service], Awaitable[Verdict]]]] = {
    "erasure": _check_report,
    "withdrawal": _check_report,
    "narrowing": _check_narrowing,
}
"""By kind: the report of a request, and the confirmations that a customer gets on the withdrawal page."""


def search(folders: list[Path], marker: str) -> Iterator[Path]:
    """Yield the files in the folders that contain the marker, as UTF-8 or UTF-16.

    Raises:
        BadRequest: If the marker is so short that it could occur by chance.
    """
    if len(marker) < _SHORTEST_MARKER:
        raise BadRequest("disk", f"needs at least {_SHORTEST_MARKER} characters; fewer could occur by chance")
    needles = [marker.encode(), marker.encode("utf-16-le"), marker.encode("utf-16-be")]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and _holds(path, needles):
                yield path


def _holds(path: Path, needles: list[bytes]) -> bool:
    """Return whether the file contains one of the needles, also across the borders of blocks."""
    overlap = max(map(len, needles)) - 1
    tail = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            window = tail + block
            if any(needle in window for needle in needles):
                return True
            # One byte less than the longest needle: a needle that starts in this block may end in the next.
            tail = window[-overlap:]
    return False
