"""`consentful verify`: check that a receipt or an erasure report is genuine, and that a text is in no file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from joserfc.errors import JoseError

from ..archive.store import StoredDialog, Tombstone
from ..errors import BadRequest, Damaged
from ..keys.jwks import BadReceipt
from ..service import Service

_OF_ERASURES: Final = frozenset({"erasure", "withdrawal"})
"""Kinds of reports: of a request, and the confirmation that a customer got on the withdrawal page."""
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
        if claims.get("kind") in _OF_ERASURES:
            return await _check_report(claims, service)
        dialog_id, digest = str(claims["jti"]), bytes.fromhex(str(claims["content_hmac_sha256"]))
    except (JoseError, KeyError, ValueError) as error:
        raise BadReceipt(f"not a receipt or report that this deployment signed ({type(error).__name__})") from None
    found = await service.archive.find(dialog_id)
    if isinstance(found, Tombstone):
        return Verdict(claims, "erased", f"the dialog was erased on {found.moment:%Y-%m-%d %H:%M} UTC")
    if not isinstance(found, StoredDialog):
        return Verdict(claims, "not here", "the dialog is not in this database")
    try:
        is_same = service.archive.content_digest(found) == digest
    except Damaged as damage:
        return Verdict(claims, "differs", str(damage))
    if not is_same:
        return Verdict(claims, "differs", "the stored content differs from the content that was consented to")
    return Verdict(claims, "matches", "the stored content is exactly the content that was consented to")


async def _check_report(claims: Mapping[str, Any], service: Service) -> Verdict:
    """Look for the dialogs of an erasure report (GDPR art. 17) in the store."""
    dialogs: list[str] = claims["dialogs"]
    left = await service.store.dialogs.still_stored(dialogs)
    if left:
        return Verdict(
            claims, "differs", f"{len(left)} of the {len(dialogs)} erased dialogs are stored; erase them again"
        )
    return Verdict(claims, "erased", f"none of the {len(dialogs)} dialogs is stored")


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
