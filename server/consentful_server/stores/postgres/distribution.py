"""The tables of a database on Citus, distributed over its machines by the dialog's number.

    dialogs, dialog_keys, seals, messages, dialog_kinds,  distributed and colocated: a dialog's rows are on one machine
    annotations, annotation_terms
    kinds, tombstones, epochs                             reference tables, on each machine: statements join them
    all others                                            stay on the coordinator, which every process connects to

A unique constraint of a distributed table must contain the column that it is distributed by, so two of `dialogs` become
plain indexes. The store does not need them: it looks an id up under the write lock before it inserts (`dialogs`, R1),
and a withdrawal code has 128 random bits.
"""

from typing import Final

from ...errors import BadDatabase
from .address import Address
from .connection import FAILED, Connection
from .failures import name_of
from .writer import LOCK

_UNIQUE: Final = "dialogs_dialog_id_key"

STATEMENTS: Final = (
    f"ALTER TABLE dialogs DROP CONSTRAINT {_UNIQUE}",
    "CREATE INDEX dialogs_by_dialog_id ON dialogs (dialog_id)",
    "DROP INDEX dialogs_by_withdrawal",
    "CREATE INDEX dialogs_by_withdrawal ON dialogs (withdrawal_hash)",
    "SELECT create_distributed_table('dialogs', 'id')",
    "SELECT create_distributed_table('dialog_keys', 'dialog', colocate_with => 'dialogs')",
    "SELECT create_distributed_table('seals', 'dialog', colocate_with => 'dialogs')",
    "SELECT create_distributed_table('messages', 'dialog', colocate_with => 'dialogs')",
    "SELECT create_distributed_table('dialog_kinds', 'dialog', colocate_with => 'dialogs')",
    "SELECT create_distributed_table('annotations', 'dialog', colocate_with => 'dialogs')",
    "SELECT create_distributed_table('annotation_terms', 'dialog', colocate_with => 'dialogs')",
    "SELECT create_reference_table('kinds')",
    "SELECT create_reference_table('tombstones')",
    "SELECT create_reference_table('epochs')",
)

_HAS_CITUS: Final = "SELECT EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'create_distributed_table')"
_IS_WHOLE: Final = "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = $1)"


async def distribute(address: Address, db: Connection) -> None:
    """Run the statements in one transaction, with the tables' rows.

    Raises:
        BadDatabase: If the database has no Citus, is distributed already, or refuses a statement; nothing was changed.
    """
    try:
        if not await db.fetchval(_HAS_CITUS):
            raise BadDatabase(
                f"{address.name} has no Citus; run `CREATE EXTENSION citus` in it, on the coordinator, and add the "
                "other machines; nothing was changed"
            )
        await db.execute(f"BEGIN; {LOCK}")
        if not await db.fetchval(_IS_WHOLE, _UNIQUE):
            raise BadDatabase(f"{address.name} is distributed already; nothing was changed")
        for statement in STATEMENTS:
            await db.execute(statement)
        await db.execute("COMMIT")
    except FAILED as error:
        raise BadDatabase(f"{address.name} cannot be distributed ({name_of(error)}); nothing was changed") from None
