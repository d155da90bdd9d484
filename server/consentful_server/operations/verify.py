"""`consentful verify`: see for yourself that a receipt is true, and that words are nowhere on the disk."""

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
    """The receipt is malformed, or none of the keys signed it."""

    code = "receipt"


class Verdict(msgspec.Struct, frozen=True):
    """What a receipt turned out to be. The signature holds, or there would be no verdict."""

    claims: Mapping[str, Any]
    content: Literal["matches", "differs", "erased", "not here"]
    detail: str

    @property
    def is_good(self) -> bool:
        return self.content != "differs"


async def check_receipt(receipt: str, service: Service) -> Verdict:
    """Check a receipt's signature, and the stored content against the digest that it states.

    Raises:
        BadReceipt: If it is malformed, or not signed with a key of this deployment.
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
        return Verdict(claims, "not here", "this database does not hold the dialog")
    if service.archive.content_digest(found) != digest:
        return Verdict(claims, "differs", "the stored words are not the ones that were consented to")
    return Verdict(claims, "matches", "the stored words are exactly those that were consented to")


def search(folders: list[Path], marker: str) -> Iterator[Path]:
    """Yield the files below the folders that hold the marker, byte for byte, as UTF-8 or UTF-16.

    Raises:
        BadRequest: If the marker is so short that it would be found by chance.
    """
    if len(marker) < _SHORTEST_MARKER:
        raise BadRequest("disk", f"at least {_SHORTEST_MARKER} characters, or it is found by chance")
    needles = [marker.encode(), marker.encode("utf-16-le"), marker.encode("utf-16-be")]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and _holds(path, needles):
                yield path


def _holds(path: Path, needles: list[bytes]) -> bool:
    """Whether the file holds one of the needles, also across the borders of blocks."""
    overlap = max(map(len, needles)) - 1
    tail = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            window = tail + block
            if any(needle in window for needle in needles):
                return True
            tail = window[-overlap:]
    return False
