"""A stored dialog as a row of the table `dialogs`, which has the same columns in both kinds of store."""

from typing import Any

from ..archive.store import StoredDialog
from .purposes import as_json


def row_of(dialog: StoredDialog) -> tuple[Any, ...]:
    """Return the values of its columns, in the order in which both kinds of store have them."""
    record = dialog.record
    return (
        dialog.number,
        record.dialog_id,
        record.owner,
        record.customer,
        dialog.language,
        record.bot,
        dialog.messages,
        dialog.opened_at,
        dialog.received_at,
        dialog.stored_at,
        record.channel,
        record.notice_id,
        record.notice_language,
        record.notice_sha256,
        as_json(record.purposes),
        record.given_by,
        record.decided_at,
        record.expires_at,
        dialog.receipt,
        dialog.withdrawal_hash,
        dialog.content,
    )
