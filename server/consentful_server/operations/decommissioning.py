"""The end of a deployment: its keys and data are destroyed, and a signed report says so.

    in use ──begin──► ENDING is in the keys folder ──go_on──► REPORT is there, and nothing else that is secret

    ENDING      what there was, counted while it could be read; from now on no start and no other command is let in
    1           every master key, then the index root and the others: what is left of the data opens with nothing
    2           the database, the ledgers, and the backups that were named
    3           a look at what is left; the report is signed and written, beside the public keys
    4           the signing key is destroyed, and ENDING removed

Each step can be repeated, and an interrupted one is carried on by running the command again: which steps are done is
seen in the folders. The keys come first, so an interruption leaves data that nobody reads, not keys without a lock.

(R1) A server starts meanwhile: it finds ENDING, which is written first, and refuses. One that runs already has the
     database open, which is looked for before and after ENDING is written.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from consentful.identifiers import uuid7

from ..clock import Clock, to_micros
from ..errors import BadBackup
from ..keys import signing
from ..keys.decommissioned import ENDING, PUBLISHED, REPORT
from ..keys.files import destroy_file, leftovers, sync_folder, write_new
from ..keys.signing import Signer
from ..keys.wrapping import Wrapping
from ..service import open_service
from ..settings import Settings
from ..stores.store import Backend
from .backup import refuse_others
from .copies import Copies

_COUNTED: Final = {"dialogs": "id", "messages": "dialog", "exports": "id"}
"""Tables of which the report says how many rows they had, and a column of each."""
_UNKNOWN: Final = (
    "copies of the keys folder, and backups of the keys, that lie elsewhere: until they are deleted, they open copies"
    " of the data of their time",
    "exports that recipients hold",
    "what replicas, log archives and backups of a database server keep",
    "blocks that a disk, its file system or its snapshots keep of what was overwritten",
)


class Plan(msgspec.Struct, frozen=True):
    """What is to be destroyed, and what there was when it could still be read."""

    id: str
    begun_at: datetime
    database: str
    dialogs: int
    messages: int
    exports: int
    backups: str | None = None
    """The folder of backups that are destroyed as well."""


async def look(settings: Settings, backend: Backend, clock: Clock, backups: Path | None = None) -> Plan:
    """Return what would be destroyed, or the plan that was begun; nothing is changed.

    Raises:
        BadDatabase: If a server or another command has the database open.
        BadKeys: If the keys are not those of the database.
        BadBackup: If the folder has no backup, or backups of another deployment.
    """
    if (settings.keys_dir / ENDING).exists():
        return msgspec.json.decode((settings.keys_dir / ENDING).read_bytes(), type=Plan)
    if backups is not None and not Copies(backups).names():
        raise BadBackup(f"there is no backup in {backups}; check --backups, or omit it; nothing was destroyed")
    await backend.check_idle()
    async with open_service(settings, clock) as service:  # checks that keys and database belong together
        if backups is not None:
            refuse_others(Copies(backups), backend, service.deployment)
    counts = await _count(backend)
    folder = None if backups is None else str(backups)
    return Plan(str(uuid7()), clock.now(), backend.name, **counts, backups=folder)


async def _count(backend: Backend) -> dict[str, int]:
    tables = await backend.tables()
    try:
        async with tables.transaction():
            return {
                table: sum([len(rows) async for rows in tables.rows(table, [column])])
                for table, column in _COUNTED.items()
            }
    finally:
        await tables.close()


async def end(settings: Settings, backend: Backend, plan: Plan, wrapping: Wrapping, clock: Clock) -> str:
    """Destroy the deployment, and return the report, which is in the keys folder as well.

    Raises:
        BadDatabase: If a server or another command has the database open; nothing was destroyed.
        OSError: If a file cannot be overwritten. Run this again when that is mended.
    """
    keys_dir = settings.keys_dir
    write_new(keys_dir / ENDING, msgspec.json.format(msgspec.json.encode(plan)))
    sync_folder(keys_dir)
    try:
        await backend.check_idle()  # (R1)
    except BaseException:
        if any(keys_dir.glob("*.key")):  # nothing was destroyed yet
            (keys_dir / ENDING).unlink()
        raise
    if not (keys_dir / REPORT).exists():
        _destroy(_secrets(keys_dir))
        data_left = await backend.destroy()
        _destroy([*keys_dir.glob("*.ledger"), keys_dir / "reserve"])
        backups = _destroy_backups(plan)
        _write_report(settings, plan, data_left, backups, Signer(signing.load(keys_dir, wrapping)), clock)
    _destroy(keys_dir.glob("*.pem"))
    (keys_dir / ENDING).unlink(missing_ok=True)
    sync_folder(keys_dir)
    return (keys_dir / REPORT).read_text("ascii")


def _secrets(keys_dir: Path) -> list[Path]:
    """Return the files of keys, but for the one that signs the report, and what crashes left of such files."""
    masters, others = keys_dir.glob("wrapping-*.key"), keys_dir.glob("*.key")
    return [*masters, *others, *leftovers(keys_dir)]


def _destroy(files: Iterable[Path]) -> None:
    for path in list(files):
        destroy_file(path)


def _destroy_backups(plan: Plan) -> list[str]:
    """Destroy every backup in the folder of the plan; return their names."""
    if plan.backups is None:
        return []
    copies = Copies(Path(plan.backups))
    copies.remove_partial()
    names = copies.names()
    for name in names:
        copies.remove(name)
    return names


def _write_report(
    settings: Settings, plan: Plan, data_left: int, backups: list[str], signer: Signer, clock: Clock
) -> None:
    """Write the report beside the public keys, durably, the report last."""
    keys_dir = settings.keys_dir
    claims: dict[str, Any] = {
        "iss": settings.receipt_issuer,
        "iat": to_micros(clock.now()) // 1_000_000,  # NumericDate: seconds (RFC 7519 §2)
        "jti": plan.id,
        "kind": "decommission",
        "database": plan.database,
        "dialogs": plan.dialogs,
        "messages": plan.messages,
        "exports": plan.exports,
        "keys_left": len(_secrets(keys_dir)),
        "data_left": data_left,
        "backups_destroyed": backups,
        "unknown": _UNKNOWN,
    }
    write_new(keys_dir / PUBLISHED, msgspec.json.encode({"keys": list(signer.jwks)}))
    sync_folder(keys_dir)
    write_new(keys_dir / REPORT, signer.sign(claims).encode())
    sync_folder(keys_dir)
