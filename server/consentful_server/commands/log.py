"""`consentful log`: read the access log: who read, erased or changed what, and whose data a credential saw."""

from datetime import datetime
from typing import Any

import msgspec
from cyclopts import App

from ..access_log.chain import OPERATOR, Action
from ..access_log.store import Trace
from ..access_log.views import LogEntry, SeenDialog
from ..errors import BadSetting
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, with_service
from .listing import AsJson, in_utc, show, show_json

_ENTRIES = ("number", "at", "who", "kind", "action", "subject", "rows", "dialogs")
_DIALOGS = ("dialog_id", "customer", "erased")
_ALL = 2**63

log = App(name="log", help="Read the access log. `consentful verify --log` verifies it.")


@log.command(name="list")
def list_entries(
    *,
    who: str | None = None,
    action: Action | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    customer: str | None = None,
    dialog: str | None = None,
    limit: int = 100,
    json: AsJson = False,
    place: Where = Place(),
) -> int:
    """List the newest entries of the access log, and print its head.

    Args:
        who: The name of a credential; `customer`, `command line` or `service`.
        action: Only this action.
        since: Logged at or after this time, UTC unless it has an offset.
        until: Logged before this time.
        customer: Entries about dialogs of this customer (the id in the chatbot), stored or erased.
        dialog: Entries about this dialog.
        limit: Most entries to list.
    """
    if limit < 1:
        raise BadSetting("limit", "must be a whole number above 0")
    trace = Trace(who, action, in_utc(since), in_utc(until))

    async def work(service: Service) -> tuple[list[LogEntry], str]:
        access_log = service.access_log
        pseudonym = None if customer is None else service.archive.pseudonym(customer)
        about = await access_log.dialogs_of(pseudonym, dialog) if customer or dialog else None
        found = await access_log.search(trace, limit=limit, about=about)
        entries, before = found.items, found.before
        while before is not None and len(entries) < limit:
            found = await access_log.search(trace, limit=limit - len(entries), before=before, about=about)
            entries, before = entries + found.items, found.before
        await access_log.write(OPERATOR, "log.read", rows=len(entries))
        return entries, str(await access_log.head())

    entries, head = with_service(place, work)
    if json:
        show_json({"items": entries, "head": head})
        return 0
    show(OUT, _ENTRIES, [msgspec.structs.asdict(entry) for entry in entries])
    OUT.print(f"Head: {head}", highlight=False, soft_wrap=True)
    return 0


@log.command
def seen(
    *,
    who: str,
    since: datetime | None = None,
    until: datetime | None = None,
    json: AsJson = False,
    place: Where = Place(),
) -> int:
    """List the dialogs that a credential saw, for example with a key that was stolen (GDPR art. 33).

    Args:
        who: The credential's name.
        since: From this time on, UTC unless it has an offset.
        until: Before this time.
    """
    trace = Trace(who, None, in_utc(since), in_utc(until))

    async def work(service: Service) -> tuple[list[SeenDialog], list[str]]:
        found = await service.access_log.seen(trace, after=0, limit=_ALL)
        await service.access_log.write(OPERATOR, "log.read", rows=len(found.dialogs))
        return found.dialogs, found.unfinished

    dialogs, unfinished = with_service(place, work)
    if json:
        show_json({"items": dialogs, "unfinished": unfinished})
        return 0
    show(OUT, _DIALOGS, [_row(dialog) for dialog in dialogs])
    for stream in unfinished:
        ERR.print(f"Stream {stream} has no end in the log: it may have sent more.", highlight=False, soft_wrap=True)
    return 0


def _row(dialog: SeenDialog) -> dict[str, Any]:
    return msgspec.structs.asdict(dialog) | {"erased": dialog.erased_at}
