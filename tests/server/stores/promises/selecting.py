"""What the suite asks a store for: messages and dialogs, by their names."""

from collections.abc import Mapping, Sequence

from consentful_server.archive.query import Filter, Horizon, Order, Position, Selection
from consentful_server.archive.store import ListedDialog, MessageRow
from consentful_server.stores.store import Store


def select(
    horizon: Horizon | None,
    *,
    order: Order = "newest",
    limit: int = 1000,
    after: Position | None = None,
    since: Horizon | None = None,
    scope: tuple[str, ...] | None = None,
    wanted: Filter | None = None,
) -> Selection:
    return Selection(
        filter=wanted or Filter(), order=order, horizon=horizon, limit=limit, after=after, since=since, purposes=scope
    )


def names(rows: Sequence[MessageRow], dialogs: Mapping[int, ListedDialog], _more: bool) -> list[tuple[str, int]]:
    return [(dialogs[row.dialog].record.dialog_id, row.seq) for row in rows]


async def messages(store: Store, **how: object) -> list[tuple[str, int]]:
    selection = select(await store.dialogs.horizon(), **how)  # pyright: ignore[reportArgumentType]
    found, horizon = await store.dialogs.list_messages(selection, names)
    assert horizon == selection.horizon
    return found


async def dialogs(store: Store, **how: object) -> list[str]:
    selection = select(await store.dialogs.horizon(), **how)  # pyright: ignore[reportArgumentType]
    found, horizon = await store.dialogs.list_dialogs(
        selection, lambda rows, _: [dialog.record.dialog_id for dialog in rows]
    )
    assert horizon == selection.horizon
    return found
