"""Dialogs as rows: inserted, read, narrowed and shredded.

A dialog has one row in each of `dialogs`, `dialog_keys` and `seals`, and one in `messages` for each message. The row in
`dialog_keys` outlives an erasure, with zeros for a key. PostgreSQL never overwrites a row in place: the earlier version
stays in the table until it is vacuumed, and in the write-ahead log. Both end with the epoch of the master key.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ...archive.store import ListedDialog, MessageHead, Retraction, SealedDialog, StoredDialog, Tombstone
from ...consent.record import Record
from ..dialog_row import row_of
from ..purposes import as_json
from . import annotations, counters, kinds, numbers
from .connection import Connection, Row
from .epochs import DESTROYED, LATEST
from .placeholders import columns
from .purposes import purposes_of
from .together import run_together

RECORD: Final = (
    "d.dialog_id, d.customer, d.owner, d.bot, d.channel, d.notice, d.notice_language, d.notice_sha256, d.purposes,"
    " d.given_by, d.decided_at, d.expires_at"
)
LISTED: Final = (
    "d.id, d.stored_at, d.language, d.messages, d.opened_at, d.received_at, k.wrapped, {texts}, s.customer, s.metadata"
)
"""Of `dialogs` (d), `dialog_keys` (k) and `seals` (s)."""
_JOIN: Final = " JOIN dialog_keys k ON k.dialog = d.id JOIN seals s ON s.dialog = d.id"
_SELECT_STORED: Final = (
    f"SELECT {RECORD}, {LISTED.format(texts='s.texts')}, d.receipt, d.withdrawal_hash, d.content"
    f" FROM dialogs d{_JOIN} WHERE d.dialog_id = ANY($1::text[])"
)
_SELECT_TOMBSTONE: Final = (
    "SELECT dialog_id, owner, reason, erased_at, messages, decided_at, stored_at, notice_sha256, purposes,"
    f" receipt_sha256, number, withdrawal_hash, epoch IS NOT NULL AND epoch <= {DESTROYED}"
    " FROM tombstones WHERE dialog_id = ANY($1::text[])"
)
_BEGIN_BATCH: Final = (
    "WITH known AS (SELECT dialog_id FROM dialogs WHERE dialog_id = ANY($1::text[])"
    " UNION SELECT dialog_id FROM tombstones WHERE dialog_id = ANY($1::text[])"
    " UNION SELECT dialog_id FROM retractions WHERE dialog_id = ANY($1::text[])),"
    f" drawn AS ({numbers.drawing('cardinality($1::text[]) - (SELECT count(*) FROM known)', above='$2')})"
    " SELECT array(SELECT dialog_id FROM known), (SELECT last FROM drawn),"
    " (SELECT coalesce(max(number), 0) FROM epochs),"
    f" array({kinds.finding('$3', '$4', '$5', '$6')})"
)
_NO_KINDS: Final[Mapping[kinds.Kind, int]] = {}
_INSERT_DIALOGS: Final = (
    "INSERT INTO dialogs (id, dialog_id, owner, customer, language, bot, messages, opened_at, received_at, stored_at,"
    " channel, notice, notice_language, notice_sha256, purposes, given_by, decided_at, expires_at, receipt,"
    " withdrawal_hash, content) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[],"
    " $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[],"
    " $14::text[], $15::text[], $16::text[], $17::bigint[], $18::bigint[], $19::text[], $20::bytea[], $21::bytea[])"
)
_INSERT_KEYS: Final = "INSERT INTO dialog_keys SELECT * FROM unnest($1::bigint[], $2::bytea[])"
_INSERT_SEALS: Final = "INSERT INTO seals SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])"
_INSERT_MESSAGES: Final = (
    "INSERT INTO messages SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::bigint[],"
    " $6::bigint[], $7::int[])"
)
_INSERT_TOMBSTONE: Final = (
    "INSERT INTO tombstones VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
    f" CASE WHEN $11::bigint IS NULL THEN NULL ELSE {LATEST} END)"
)
_COUNT_LEFT: Final = (
    "SELECT (SELECT count(*) FROM erased e JOIN dialog_keys k ON k.dialog = e.number WHERE k.wrapped != $2),"
    " (SELECT count(*) FROM dialogs d WHERE d.dialog_id = ANY($1::text[]))"
    " + (SELECT count(*) FROM erased e JOIN seals s ON s.dialog = e.number)"
    " + (SELECT count(*) FROM erased e JOIN messages m ON m.dialog = e.number)"
    " + (SELECT count(*) FROM erased e JOIN annotations a ON a.dialog = e.number)"
    " + (SELECT count(*) FROM erased e JOIN annotation_terms a ON a.dialog = e.number),"
    f" (SELECT count(*) FROM erased e WHERE e.epoch > {DESTROYED})"
)
_COUNT_LEFT_OF_ERASED: Final = (
    "WITH erased AS (SELECT number, epoch FROM tombstones WHERE dialog_id = ANY($1::text[]) AND number IS NOT NULL)"
    f" {_COUNT_LEFT}"
)


def _stored(row: Row) -> StoredDialog:
    *common, receipt, withdrawal_hash, content = row
    return StoredDialog(**fields(common), receipt=receipt, withdrawal_hash=withdrawal_hash, content=content)


def fields(row: Row) -> dict[str, Any]:
    """Return the columns `RECORD` and `LISTED` by the names that a dialog has for them."""
    (
        *first,
        purposes,
        given_by,
        decided_at,
        expires_at,
        number,
        stored_at,
        language,
        messages,
        opened_at,
        received_at,
        wrapped,
        texts,
        customer,
        metadata,
    ) = row
    record: tuple[Any, ...] = (*first, purposes_of(purposes), given_by, decided_at, expires_at)
    return {
        "record": Record(*record),
        "number": number,
        "stored_at": stored_at,
        "language": language,
        "messages": messages,
        "opened_at": opened_at,
        "received_at": received_at,
        "wrapped": wrapped,
        "texts": texts,
        "customer": customer,
        "metadata": metadata,
    }


async def find(db: Connection, dialog_id: str) -> StoredDialog | None:
    """Return the stored dialog with this id and its message heads; None if it is not stored."""
    return next(iter(await find_all(db, [dialog_id])), None)


async def find_all(db: Connection, dialog_ids: Sequence[str]) -> list[StoredDialog]:
    """Return those of these dialogs that are stored, with their message heads, in any order."""
    return await with_heads(db, [_stored(row) for row in await db.fetch(_SELECT_STORED, list(dialog_ids))])


D = TypeVar("D", bound=ListedDialog)


async def with_heads(db: Connection, dialogs: Sequence[D]) -> list[D]:
    """Return the dialogs with the heads of their messages, from one statement; from none, if there are no dialogs."""
    if not dialogs:
        return []
    found: dict[int, list[MessageHead]] = {dialog.number: [] for dialog in dialogs}
    sql = (
        "SELECT dialog, role, language, received_at FROM messages WHERE dialog = ANY($1::bigint[]) ORDER BY dialog, seq"
    )
    for number, *head in await db.fetch(sql, list(found)):
        found[number].append(MessageHead(*head))
    return [msgspec.structs.replace(dialog, heads=tuple(found[dialog.number])) for dialog in dialogs]


async def tombstone(db: Connection, dialog_id: str) -> Tombstone | None:
    """Return the tombstone of an erased dialog; None if it was never stored.

    It is `complete` if the master key of the epoch in which it was erased is destroyed, and with it all before.
    """
    return next(iter(await tombstones(db, [dialog_id])), None)


async def tombstones(db: Connection, dialog_ids: Sequence[str]) -> list[Tombstone]:
    """Return the tombstones of those of these dialogs that were erased, as `tombstone` does, in any order."""
    return [_tombstone(row) for row in await db.fetch(_SELECT_TOMBSTONE, list(dialog_ids))]


def _tombstone(row: Row) -> Tombstone:
    fields: dict[str, Any] = dict(zip(Tombstone.__struct_fields__, row, strict=True))
    fields["purposes"] = purposes_of(fields["purposes"])
    return Tombstone(**fields)


class Batch(NamedTuple):
    """What is known before dialogs are stored: which of their ids were ever used (stored, erased or retracted), the
    last of the numbers drawn for the others, the epoch in which keys are wrapped now (0 before the first one begins),
    and the number of each kind of their messages that is not new.
    """

    used: set[str]
    last: int
    epoch: int
    kinds: dict[kinds.Kind, int]


async def begin_batch(db: Connection, sealed: Mapping[str, SealedDialog], above: int) -> Batch:
    """Draw numbers above `above` for those of these dialogs, by id, whose id was never used; return what is known."""
    # One statement, because each is a round trip, and a lone dialog waits for each.
    wanted = list({kind for dialog in sealed.values() for kind in kinds.of(dialog)})
    row = await db.fetchrow(_BEGIN_BATCH, list(sealed), above, *columns(wanted, 4))
    assert row is not None
    used, last, epoch, found = row
    return Batch(set(used), last, epoch, {kind: it for kind, it in zip(wanted, found, strict=True) if it is not None})


async def retraction(db: Connection, dialog_id: str, owner: str, mark: bytes) -> Retraction | None:
    """Return the retraction with this mark; None if there is none."""
    row = await db.fetchrow(
        # '': recorded by an earlier release, for every customer of the owner.
        "SELECT dialog_id, owner, mark, retracted_at FROM retractions"
        " WHERE dialog_id = $1 AND owner = $2 AND mark IN ($3, '')",
        dialog_id,
        owner,
        mark,
    )
    return retracted(row) if row else None


def retracted(row: Row) -> Retraction:
    """Return the row of a retraction."""
    return Retraction(**dict(zip(Retraction.__struct_fields__, row, strict=True)))


async def insert_retraction(db: Connection, retraction: Retraction) -> None:
    """Insert a retraction; the first one stays."""
    values = msgspec.structs.astuple(retraction)
    await db.execute("INSERT INTO retractions VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", *values)


async def insert_tombstone(db: Connection, tombstone: Tombstone) -> int:
    """Insert a tombstone and its entry in the feed of erasures; return its place in the feed.

    A tombstone without a number is not in the feed, and its place is 0.
    """
    fields = msgspec.structs.asdict(tombstone) | {"purposes": json.dumps(tombstone.purposes)}
    *values, _ = fields.values()  # without `complete`, which is computed from the epochs
    await db.execute(_INSERT_TOMBSTONE, *values)
    if tombstone.number is None:
        return 0
    # It was stored, so recipients may hold a copy (GDPR art. 19).
    place = await numbers.draw(db, "erasures", 1)
    await db.execute("INSERT INTO erasures VALUES ($1, $2)", place, tombstone.dialog_id)
    return place


async def of_withdrawal(db: Connection, withdrawal_hashes: Sequence[bytes]) -> str | None:
    """Return the id of the dialog, stored or erased, whose withdrawal code has the first of these hashes that is
    known; None if there is none.
    """
    return await db.fetchval(
        "SELECT dialog_id FROM (SELECT dialog_id, withdrawal_hash FROM dialogs WHERE withdrawal_hash = ANY($1::bytea[])"
        " UNION ALL SELECT dialog_id, withdrawal_hash FROM tombstones WHERE withdrawal_hash = ANY($1::bytea[])) AS f"
        " ORDER BY array_position($1::bytea[], withdrawal_hash) LIMIT 1",
        list(withdrawal_hashes),
    )


async def insert(
    db: Connection,
    sealed: Sequence[SealedDialog],
    stored_at: int,
    last: int,
    known_kinds: Mapping[kinds.Kind, int] = _NO_KINDS,
) -> list[StoredDialog]:
    """Insert dialogs with their keys, seals and message heads, and count them; return them as they are stored.

    `last` is the last of as many numbers, which the caller has drawn for them.
    """
    first = last - len(sealed) + 1
    dialogs = [
        StoredDialog(**{name: getattr(it, name) for name in it.__struct_fields__}, number=number, stored_at=stored_at)
        for number, it in enumerate(sealed, first)
    ]
    of = {dialog.number: kinds.of(dialog) for dialog in dialogs}
    numbered = dict(known_kinds)
    if missing := {kind for some in of.values() for kind in some} - numbered.keys():
        numbered |= await kinds.numbers(db, missing)
    has = [(numbered[kind], it.number, it.received_at) for it in dialogs for kind in {*of[it.number]}]
    await run_together(
        db,
        [
            (_INSERT_DIALOGS, columns([row_of(dialog) for dialog in dialogs], 21)),
            (_INSERT_KEYS, columns([(it.number, it.wrapped) for it in dialogs], 2)),
            (_INSERT_SEALS, columns([(it.number, it.customer, it.metadata, it.texts) for it in dialogs], 4)),
            (_INSERT_MESSAGES, columns([row for it in dialogs for row in _messages(it, of[it.number], numbered)], 7)),
            kinds.inserting(has),
            kinds.inserting_times(dialogs),
            *counters.counting(dialogs, 1),
        ],
    )
    return dialogs


def _messages(dialog: StoredDialog, of: Sequence[kinds.Kind], numbered: Mapping[kinds.Kind, int]) -> Iterator[Row]:
    """Yield the heads of a dialog's messages, with all that filters find them by."""
    customer = kinds.customer_key(dialog.record.customer)
    for seq, (head, kind) in enumerate(zip(dialog.heads, of, strict=True), 1):
        yield dialog.number, seq, head.role, head.language, head.received_at, numbered[kind], customer


async def narrow(db: Connection, dialog: StoredDialog) -> None:
    """Replace a stored dialog by itself under a narrower consent: sealed again with the same key, bound to the new
    record.
    """
    record = dialog.record
    await db.execute(
        "UPDATE dialogs SET purposes = $1, given_by = $2, decided_at = $3, expires_at = $4, receipt = $5 WHERE id = $6",
        as_json(record.purposes),
        record.given_by,
        record.decided_at,
        record.expires_at,
        dialog.receipt,
        dialog.number,
    )
    await db.execute(
        "UPDATE seals SET customer = $1, metadata = $2, texts = $3 WHERE dialog = $4",
        dialog.customer,
        dialog.metadata,
        dialog.texts,
        dialog.number,
    )
    await kinds.change_purposes(db, dialog.number, as_json(record.purposes))


async def shred(db: Connection, number: int, nothing: bytes) -> None:
    """Overwrite the dialog's key with `nothing`, and delete its rows."""
    await db.execute("UPDATE dialog_keys SET wrapped = $1 WHERE dialog = $2", nothing, number)
    await db.execute("DELETE FROM seals WHERE dialog = $1", number)
    await kinds.shred(db, number)
    await annotations.shred(db, number)
    await db.execute("DELETE FROM dialogs WHERE id = $1", number)


async def left(db: Connection, dialog_ids: Sequence[str], nothing: bytes) -> tuple[int, int, bool]:
    """Return how many keys of erased dialogs are not overwritten, how many of their rows still exist, and whether a
    master key exists that could open an earlier version of one of the keys.
    """
    row = await db.fetchrow(_COUNT_LEFT_OF_ERASED, list(dialog_ids), nothing)
    assert row is not None
    return row[0], row[1], row[2] > 0
