"""What is stored of one customer, counted and listed by id, before anything is disclosed or erased."""

from datetime import datetime
from typing import Final

import msgspec

from ..access_log.log import AccessLog
from ..archive.store import DialogStore
from ..auth.read_scope import ReadScope
from ..clock import from_micros

MOST_LISTED: Final = 100


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """A stored dialog of the customer, without its messages."""

    dialog_id: str
    messages: int
    purposes: tuple[str, ...]
    stored_at: datetime
    expires_at: datetime


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one customer. `items` are the latest dialogs, at most 100; `dialogs` counts all of them."""

    customer: str
    dialogs: int
    messages: int
    items: list[Holding]


async def held_of(customer: str, dialogs: DialogStore, access_log: AccessLog, scope: ReadScope) -> Holdings:
    """Return what is stored of a customer (pseudonym) within the scope.

    The access log has an entry before this returns. It names the customer only if something is stored of them.
    """
    found = [it for it in await dialogs.of_customer(customer) if scope.covers(it.purposes)]
    messages = sum(it.messages for it in found)
    numbers = [it.number for it in found]
    wanted = {"customer": customer}
    await access_log.write(scope.by, "customer.read", wanted=wanted, rows=messages, dialogs=numbers)
    return Holdings(
        customer=customer,
        dialogs=len(found),
        messages=messages,
        items=[
            Holding(
                dialog_id=it.dialog_id,
                messages=it.messages,
                purposes=it.purposes,
                stored_at=from_micros(it.stored_at),
                expires_at=from_micros(it.expires_at),
            )
            for it in found[: -MOST_LISTED - 1 : -1]
        ],
    )
