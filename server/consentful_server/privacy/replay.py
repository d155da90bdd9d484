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

The entries of all ledgers are read once, whatever their order (`survey`), and nothing is written before all are read.

Races, and the line that closes each:

(R1) Another process erases meanwhile: the database is read before the ledgers. An erasure is in a ledger before its
     transaction commits, so one that was seen in the database must be in a ledger.
(R2) Another process has recorded an erasure whose transaction has not committed: it is erased here as well. Whichever
     transaction is later finds the tombstone, and changes nothing.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

from ..access_log.chain import SERVICE
from ..archive.archive import Archive
from ..archive.store import DialogStore
from ..auth.api_keys import ApiKeys
from ..auth.store import CredentialStore
from ..consent.offer import Offer
from ..consent.store import NoticeStore
from ..exports.store import ExportStore
from .ledger import NAME, Ledgers, RetiredEntry, older_copy
from .store import RemainsStore
from .survey import Erasures, Narrowing, Survey, by_dialog, preferred

T = TypeVar("T")

_AT_ONCE: Final = 10_000

_log: Final = logging.getLogger("consentful.server")


async def replay(
    ledgers: Ledgers,
    *,
    archive: Archive,
    dialogs: DialogStore,
    exports: ExportStore,
    remains: RemainsStore,
    credentials: CredentialStore,
    api_keys: ApiKeys,
    notices: NoticeStore,
    offer: Offer,
) -> int:
    """Bring the store to what the ledgers say; return up to which number dialogs may have been numbered.

    Raises:
        BadKeys: If the ledgers lack the latest erasure of the store: one is an older copy. Nothing was changed.
    """
    latest = await exports.erased(await exports.place() - 1, 1)  # (R1) before the ledgers
    survey, stored, unknown = Survey(), Erasures(), Erasures()
    is_complete = not latest
    for some in _blocks(ledgers):
        for entry in some:
            survey.add(entry)
        erased = by_dialog(some)
        is_complete = is_complete or latest[0].dialog_id in erased
        _take(stored, erased, await dialogs.still_stored(list(erased)) if erased else ())
        _take(unknown, erased, await remains.unknown(list(erased)) if erased else ())
    if not is_complete:
        raise older_copy(ledgers.folder / NAME)
    if survey.place > (latest[0].place if latest else 0):
        await remains.move_on(survey.place)
    await _erase_again(archive, stored)
    await _remember(remains, unknown, survey)
    await _revoke_again(credentials, api_keys, survey.revoked)
    await _retire_again(offer, survey.retired.values())
    await _narrow_again(archive, notices, survey.narrowed)
    return survey.numbered


def _blocks(entries: Iterable[T]) -> Iterator[list[T]]:
    left = iter(entries)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _take(into: Erasures, found: Erasures, dialog_ids: Iterable[str]) -> None:
    """Take the entries of these dialogs from those that were found, unless a better one is known."""
    for dialog_id in dialog_ids:
        entry = found[dialog_id]
        into[dialog_id] = preferred(into.get(dialog_id, entry), entry)


async def _erase_again(archive: Archive, stored: Erasures) -> None:
    for some in _blocks(stored.items()):
        await asyncio.gather(*(archive.erase(name, entry.tombstone.reason) for name, entry in some))  # (R2)
    if stored:
        _log.warning("erased dialogs that the ledger lists and that were still stored", extra={"dialogs": len(stored)})


async def _remember(remains: RemainsStore, unknown: Erasures, survey: Survey) -> None:
    for some in _blocks(unknown.values()):
        await remains.add([entry.tombstone for entry in some], [])
    for retractions in _blocks(survey.retracted):
        await remains.add([], retractions)
    if unknown:
        _log.warning("recorded erasures that only the ledger knew", extra={"dialogs": len(unknown)})


async def _revoke_again(credentials: CredentialStore, api_keys: ApiKeys, revoked: set[str]) -> None:
    for key_id in [it.id for it in await credentials.all() if it.revoked_at is None and it.id in revoked]:
        await api_keys.revoke(key_id, by=SERVICE)
        _log.warning("revoked an API key again", extra={"key": key_id})


async def _retire_again(offer: Offer, entries: Iterable[RetiredEntry]) -> None:
    """Retire notices until none of them is on offer: one may be put on offer as what is shown instead of another."""
    left = sorted(entries, key=lambda it: (it.at, it.notice_id))
    while done := [it for it in left if await offer.retire_again(it.notice_id, it.at, it.instead)]:
        for entry in done:
            _log.warning("retired a notice again", extra={"notice": entry.notice_id})


async def _narrow_again(archive: Archive, notices: NoticeStore, narrowed: Mapping[str, Narrowing]) -> None:
    wordings = {(it.id, it.language): it for it in await notices.all()} if narrowed else {}
    done = [await archive.narrow(dialog_id, it.purposes, wordings) for dialog_id, it in narrowed.items()]
    if any(done):
        _log.warning("narrowed consents again", extra={"dialogs": sum(done)})
