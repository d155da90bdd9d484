"""The privacy officer's commands: erase, verify, purge, and the record of processing."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from ..access_log.chain import OPERATOR
from ..access_log.log import read_head
from ..clock import to_micros
from ..errors import BadSetting
from ..operations import verify as verification
from ..privacy import processing, retention
from ..privacy.store import PrivacyRequest
from ..service import Service
from ..settings import Place, Settings
from ..stores.open import backend_of
from . import ERR, OUT, Where, with_service


def erase(*, customer: str | None = None, dialog: str | None = None, place: Where = Place()) -> int:
    """Erase a customer or one dialog, look whether it is gone, and print what was seen.

    Works beside a running server.

    Args:
        customer: The customer's id, as the chatbot names it: everything of that customer is erased.
        dialog: The id of one dialog.
    """
    if (customer is None) == (dialog is None):
        raise BadSetting("customer", "name either --customer or --dialog")

    async def work(service: Service) -> PrivacyRequest:
        if customer is not None:
            return await service.privacy_requests.erase(customer, by=OPERATOR)
        return await service.privacy_requests.erase_dialog(dialog or "", by=OPERATOR)

    done = with_service(place, work)
    table = Table("request", "dialogs", "messages", "status", title="Erased")
    table.add_row(done.id, f"{done.dialogs:,}", f"{done.messages:,}", done.status)
    OUT.print(table)
    OUT.print("The signed report:", done.report, markup=False, soft_wrap=True)
    return 1 if done.status == "pending" else 0


def verify(
    receipt: Path | None = None,
    *,
    disk: str | None = None,
    log: bool = False,
    head: str | None = None,
    place: Where = Place(),
) -> int:
    """Check a RECEIPT (a file) against this deployment's key and the stored words, the disk, or the access log.

    Args:
        receipt: A file with the compact JWS that `stored` carried.
        disk: Search every file of the data and the keys, byte for byte, for this text.
        log: Hold every entry of the access log against its chain, and print the head to write down elsewhere.
        head: A head that was written down earlier: the log must still lead there.
    """
    if (receipt is not None) + (disk is not None) + (log or head is not None) != 1:
        raise BadSetting("receipt", "name one of: a receipt's file, --disk, --log")
    if log or head is not None:
        return _check_log(place, head)
    if disk is not None:
        return _search(place, disk)
    text = receipt.read_text() if receipt and receipt.is_file() else ""
    if not text:
        raise BadSetting("receipt", "a file that holds a receipt")
    verdict = with_service(place, lambda service: verification.check_receipt(text, service))
    OUT.print_json(data=dict(verdict.claims))
    OUT.print(f"Signature: valid. Content: {verdict.content} ({verdict.detail}).", markup=False, soft_wrap=True)
    return 0 if verdict.is_good else 1


def purge(*, dry_run: bool = False, place: Where = Place()) -> int:
    """Erase every dialog whose retention has ended. The server does it by itself every hour.

    Args:
        dry_run: Only count them.
    """

    async def count(service: Service) -> int:
        now = to_micros(service.clock.now())
        return await service.store.dialogs.count_expired(now)

    async def erase(service: Service) -> int:
        return await retention.purge(service.archive, service.store.dialogs, service.clock)

    dialogs = with_service(place, count if dry_run else erase)
    OUT.print(f"{dialogs:,} dialogs {'would be' if dry_run else 'were'} erased.")
    return 0


def processing_record(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> int:
    """Print the record of processing (GDPR art. 30) from the settings and the notices on offer, as Markdown."""
    wordings = with_service(settings, lambda service: service.store.notices.all())
    print(processing.processing_record(settings, wordings))  # noqa: T201
    return 0


def _check_log(place: Place, head: str | None) -> int:
    anchor = None if head is None else read_head(head)
    check = with_service(place, lambda service: service.access_log.check(anchor))
    OUT.print(f"{check.entries:,} entries hold. The head is {check.head}", highlight=False, soft_wrap=True)
    if check.fault is None:
        return 0
    ERR.print(f"The access log was altered: {check.fault}.", highlight=False, soft_wrap=True)
    return 1


def _search(place: Place, marker: str) -> int:
    folders = [*backend_of(place.database, place.data_dir).folders, place.keys_dir]
    found = list(verification.search(folders, marker))
    for path in found:
        OUT.print(str(path), markup=False)
    OUT.print(f"Found in {len(found)} files." if found else "Found nowhere in the files of the data and the keys.")
    return 1 if found else 0
