"""Do again what the ledger records and the database does not know, before anything is served.

    the ledger says     the database has                      what is done
    erased              the dialog                            erase it again
    erased              neither the dialog nor its tombstone  insert the tombstone, and tell the feed of erasures
    retracted           neither                               insert the retraction
    revoked             the key, valid                        revoke it again
    narrowed            the dialog, under more purposes       seal it again under these
    retired             the notice, on offer                  offer the one instead, and retire it again
    places, numbers     lower ones                            go on after those of the ledger

That is so after a crash, and after the restore of a backup or of any older copy of the database.

An erasure that is done again gets a new place in the feed, after every place that was ever given out: the order of the
old places is lost, so a recipient may be told twice, and never too little (GDPR art. 19).

Of several narrowings of one dialog the last is true: an earlier one may have been answered with an error.

Races, and the line that closes each:

(R1) Another process erases meanwhile: the database is read before the ledger. An erasure is in the ledger before its
     transaction commits, so one that was seen in the database must be in the ledger.
(R2) Another process has recorded an erasure whose transaction has not committed: it is erased here as well. Whichever
     transaction is later finds the tombstone, and changes nothing.
"""

import asyncio
import logging
from itertools import islice
from typing import Final

from ..access_log.chain import SERVICE
from ..archive.archive import Archive
from ..archive.store import DialogStore, Reason, Retraction, Tombstone
from ..auth.api_keys import ApiKeys
from ..auth.store import CredentialStore
from ..consent.offer import Offer
from ..consent.store import NoticeStore
from ..errors import BadKeys
from ..exports.store import ExportStore
from .ledger import ErasedEntry, Ledger, NarrowedEntry, NumberedEntry, RetiredEntry, RetractedEntry, RevokedEntry
from .store import RemainsStore

_AT_ONCE: Final = 10_000

_log: Final = logging.getLogger("consentful.server")


async def replay(
    ledger: Ledger,
    *,
    archive: Archive,
    dialogs: DialogStore,
    exports: ExportStore,
    remains: RemainsStore,
    credentials: CredentialStore,
    api_keys: ApiKeys,
    notices: NoticeStore,
    offer: Offer,
) -> None:
    """Bring the store to what the ledger says.

    Raises:
        BadKeys: If the ledger lacks the latest erasure of the store: it is an older copy.
    """
    latest = await exports.erased(await exports.place() - 1, 1)  # (R1) before the ledger
    place, narrowed = _survey(ledger, latest[0].dialog_id if latest else None)
    if place > (latest[0].place if latest else 0):
        await remains.move_on(place)
    valid = {credential.id for credential in await credentials.all() if credential.revoked_at is None}
    entries = iter(ledger)
    while some := list(islice(entries, _AT_ONCE)):
        tombstones = {it.tombstone.dialog_id: it.tombstone for it in some if isinstance(it, ErasedEntry)}
        await _erase_again(archive, dialogs, {name: stone.reason for name, stone in tombstones.items()})
        retractions = [it.retraction for it in some if isinstance(it, RetractedEntry)]
        await _remember(remains, list(tombstones.values()), retractions)
        for key_id in valid & {it.key_id for it in some if isinstance(it, RevokedEntry)}:
            await api_keys.revoke(key_id, by=SERVICE)
            _log.warning("revoked an API key again", extra={"key": key_id})
        for it in some:
            if isinstance(it, RetiredEntry) and await offer.retire_again(it.notice_id, it.at, it.instead):
                _log.warning("retired a notice again", extra={"notice": it.notice_id})
    await _narrow_again(archive, notices, narrowed)


def _survey(ledger: Ledger, latest: str | None) -> tuple[int, dict[str, tuple[str, ...]]]:
    """Return the last place of the feed that the ledger names, and the purposes of narrowed dialogs.

    The ledger knows afterwards how far numbers may have been given out.

    Raises:
        BadKeys: If it lacks the erasure of `latest`.
    """
    place, is_complete = 0, latest is None
    narrowed: dict[str, tuple[str, ...]] = {}
    for entry in ledger:
        match entry:
            case ErasedEntry(tombstone, at):
                place = max(place, at)
                ledger.numbered = max(ledger.numbered, tombstone.number or 0)
                narrowed.pop(tombstone.dialog_id, None)
                is_complete = is_complete or tombstone.dialog_id == latest
            case NarrowedEntry(dialog_id, purposes):
                narrowed[dialog_id] = purposes
            case NumberedEntry(dialogs):
                ledger.numbered = max(ledger.numbered, dialogs)
            case _:
                pass
    if not is_complete:
        raise BadKeys(
            f"{ledger.path} lacks erasures that the database has, so it is an older copy; put its newest copy back, or "
            "run `consentful roots rebuild-ledger`; nothing was changed"
        )
    return place, narrowed


async def _erase_again(archive: Archive, dialogs: DialogStore, reasons: dict[str, Reason]) -> None:
    stored = await dialogs.still_stored(list(reasons))
    await asyncio.gather(*(archive.erase(dialog_id, reasons[dialog_id]) for dialog_id in stored))  # (R2)
    if stored:
        _log.warning("erased dialogs that the ledger lists and that were still stored", extra={"dialogs": len(stored)})


async def _narrow_again(archive: Archive, notices: NoticeStore, narrowed: dict[str, tuple[str, ...]]) -> None:
    wordings = {(it.id, it.language): it for it in await notices.all()} if narrowed else {}
    done = [await archive.narrow(dialog_id, purposes, wordings) for dialog_id, purposes in narrowed.items()]
    if any(done):
        _log.warning("narrowed consents again", extra={"dialogs": sum(done)})


async def _remember(remains: RemainsStore, tombstones: list[Tombstone], retractions: list[Retraction]) -> None:
    unknown = await remains.unknown([stone.dialog_id for stone in tombstones]) if tombstones else []
    missing = [stone for stone in tombstones if stone.dialog_id in set(unknown)]
    if missing or retractions:
        await remains.add(missing, retractions)
    if missing:
        _log.warning("recorded erasures that only the ledger knew", extra={"dialogs": len(missing)})
