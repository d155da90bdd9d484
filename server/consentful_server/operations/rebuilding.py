"""`consentful roots rebuild-ledger`: write into a ledger what the database knows and no ledger does.

For an operator who has lost the ledger, or has an older copy only. What the database does not know stays lost: the
erasures, retractions, revocations and retirements that were made after a backup that was restored, and which consents
were narrowed at all.

The erasures are written in the order of the feed, the latest one last, because a start takes a ledger for complete that
has the latest erasure (`replay`): a rebuilding that was interrupted is refused, and can be repeated.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ..archive.store import Tombstone
from ..clock import Clock, SystemClock
from ..consent.notices import on_offer
from ..errors import BadDatabase, BadKeys
from ..keys.deployment import load_keys
from ..keys.roots import DEPLOYMENT
from ..keys.wrapping import wrapping_of
from ..privacy import ledger
from ..privacy.ledger import (
    Entry,
    ErasedEntry,
    Ledger,
    Ledgers,
    NarrowedEntry,
    NumberedEntry,
    RetiredEntry,
    RetractedEntry,
    RevokedEntry,
)
from ..settings import Place
from ..stores.open import backend_of
from ..stores.store import Store

_AT_ONCE: Final = 1_000


class Rebuilt(NamedTuple):
    """How many erasures, retractions, revocations and retirements were added."""

    erased: int
    retracted: int
    revoked: int
    retired: int


async def rebuild_ledger(place: Place, clock: Clock | None = None) -> Rebuilt:
    """Add to the first ledger what only the database knows, and no ledger; create it if it is missing, durably.

    Afterwards the database expects the ledgers that are there. Stop all servers before: a running one writes to the
    file that was lost.

    Raises:
        BadKeys: If the keys are missing, or belong to another store, or the ledger cannot be written.
        BadDatabase: If there is no database.
    """
    clock = clock or SystemClock()
    backend = backend_of(place.database, place.data_dir)
    if not backend.exists():
        raise BadDatabase(f"{backend.name} does not exist; name another --data-dir or --database; nothing was changed")
    records = Ledger(place.keys_dir / ledger.NAME)
    store = await backend.open(clock, records)
    try:
        if DEPLOYMENT in await store.facts.all():
            wrapping = wrapping_of(place.keys_command)
            await load_keys(
                store.facts, store.epochs, place.keys_dir, store=backend.name, clock=clock, wrapping=wrapping
            )
        records.create()
        records.open()
        ledgers = Ledgers(place.keys_dir, {})
        made = await _add_missing(store, ledgers, records)
        await store.remains.set_ledgers(ledgers.measured())  # those that are lost for good are missed no more
        return made
    except OSError as error:
        raise BadKeys(f"{records.path} cannot be written ({error.strerror}); mend that, and run this again") from None
    finally:
        await store.close()


async def _add_missing(store: Store, ledgers: Ledgers, records: Ledger) -> Rebuilt:
    known = {_name(entry) for entry in ledgers}
    records.add(NumberedEntry(await store.dialogs.horizon()))
    retracted = _add(records, known, [RetractedEntry(it) for it in await store.remains.retractions()])
    keys = await store.credentials.all()
    revoked = _add(records, known, [RevokedEntry(it.id, it.revoked_at) for it in keys if it.revoked_at is not None])
    retired = _add(records, known, await _retired(store))
    erased = after = 0
    while some := await store.exports.erased(after, _AT_ONCE):
        found = [(await store.dialogs.find(it.dialog_id), it.place) for it in some]
        entries = [ErasedEntry(stone, place) for stone, place in found if isinstance(stone, Tombstone)]
        erased += _add(records, known, entries)
        after = some[-1].place
    records.sync()
    return Rebuilt(erased, retracted, revoked, retired)


async def _retired(store: Store) -> list[RetiredEntry]:
    wordings = await store.notices.all()
    instead = tuple(on_offer(wordings))
    times = {it.id: it.retired_at for it in wordings if it.retired_at is not None}
    return [RetiredEntry(notice_id, at, instead) for notice_id, at in times.items()]


def _add(records: Ledger, known: set[object], entries: Sequence[Entry]) -> int:
    missing = [entry for entry in entries if _name(entry) not in known]
    for entry in missing:
        records.add(entry)
    return len(missing)


def _name(entry: Entry) -> object:
    """Return what tells an entry from others of its kind."""
    match entry:
        case ErasedEntry(tombstone):
            return tombstone.dialog_id
        case RetractedEntry(retraction):
            return retraction
        case RevokedEntry(key_id):
            return key_id, "key"
        case RetiredEntry(notice_id):
            return notice_id, "notice"
        case NarrowedEntry() | NumberedEntry():
            return entry
