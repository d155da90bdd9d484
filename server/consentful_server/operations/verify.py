"""`consentful verify`: check that a receipt is genuine, and that a text is in no file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from joserfc.errors import JoseError

from ..archive.store import StoredDialog, Tombstone
from ..errors import BadRequest, Refusal
from ..service import Service

_BLOCK_BYTES: Final = 1024 * 1024
_SHORTEST_MARKER: Final = 6


class BadReceipt(Refusal):
    """The receipt is malformed, or was not signed with a key of this deployment."""

    code = "receipt"


class Verdict(msgspec.Struct, frozen=True):
    """The result for a receipt whose signature is valid."""

    claims: Mapping[str, Any]
    content: Literal["matches", "differs", "erased", "not here"]
    detail: str

    @property
    def is_good(self) -> bool:
        """Whether the stored content does not contradict the receipt."""
        return self.content != "differs"


async def check_receipt(receipt: str, service: Service) -> Verdict:
    """Verify a receipt's signature, and compare the stored content with the digest that the receipt states.

    Raises:
        BadReceipt: If it is malformed, or was not signed with a key of this deployment.
    """
    try:
        claims = service.signer.verified(receipt.strip())
        dialog_id, digest = str(claims["jti"]), bytes.fromhex(str(claims["content_hmac_sha256"]))
    except (JoseError, KeyError, ValueError) as error:
        raise BadReceipt(f"not a receipt that this deployment signed ({type(error).__name__})") from None
    found = await service.archive.find(dialog_id)
    if isinstance(found, Tombstone):
        return Verdict(claims, "erased", f"the dialog was erased on {found.moment:%Y-%m-%d %H:%M} UTC")
    if not isinstance(found, StoredDialog):
        return Verdict(claims, "not here", "the dialog is not in this database")
    if service.archive.content_digest(found) != digest:
        return Verdict(claims, "differs", "the stored content differs from the content that was consented to")
    return Verdict(claims, "matches", "the stored content is exactly the content that was consented to")


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
