"""Narrowing a stored dialog without a replay of it: opened, and sealed again under fewer purposes. Pure.

Every seal is bound to the consent record (`contents`), so a narrower record needs new seals, and a new receipt. Key,
number and times stay. `sealing` does the same for a replay, whose words it has.
"""

import msgspec

from ..consent.record import Record
from ..errors import Damaged
from ..keys.vault import Vault
from . import contents, rules
from .opening import Opened, unwrap
from .sealing import Sign
from .store import StoredDialog


def narrowed(vault: Vault, stored: StoredDialog, purposes: tuple[str, ...], sign: Sign) -> StoredDialog | None:
    """Return the dialog under the narrower consent; None if it is as narrow already (`rules.on_narrow`).

    A dialog that cannot be opened gets the narrower record alone. Its seals do not fit that one, so nobody can read it.
    """
    record = rules.on_narrow(purposes, stored.record)
    if record is None:
        return None
    try:
        return _sealed_again(vault, stored, record, sign)
    except Damaged:
        return msgspec.structs.replace(stored, record=record)


def _sealed_again(vault: Vault, stored: StoredDialog, record: Record, sign: Sign) -> StoredDialog:
    key, opened, dialog_id = unwrap(vault, stored), Opened(vault, stored), record.dialog_id
    # Each line keeps its head: a column of a message that was altered is still found.
    bound = contents.bound(record, stored.language, stored.messages, stored.opened_at, stored.received_at)
    metadata = opened.metadata
    return msgspec.structs.replace(
        stored,
        record=record,
        receipt=sign(record, stored.messages, stored.content),
        texts=vault.seal(key, "texts", contents.encode(opened.lines), dialog_id, bound),
        customer=vault.seal(key, "customer", opened.customer_id.encode(), dialog_id, bound),
        metadata=None if metadata is None else vault.seal(key, "metadata", contents.encode(metadata), dialog_id, bound),
    )
