"""The privacy officer's commands: erase, verify, purge, and the record of processing activities (GDPR art. 30)."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..access_log.chain import OPERATOR
from ..access_log.verification import read_head
from ..clock import SystemClock, to_micros
from ..errors import BadSetting, NotFound
from ..keys.jwks import BadReceipt
from ..operations import integrity
from ..operations import verify as verification
from ..privacy import processing, retention
from ..privacy.store import PrivacyRequest
from ..service import Service
from ..settings import Place, Settings
from . import ERR, OUT, Where, existing, with_service
from .client.receipt import verify_receipt
from .listing import show


def erase(*, customer: str | None = None, dialog: str | None = None, place: Where = Place()) -> int:
    """Erase a customer's dialogs, or one dialog, and print a signed report of the verification.

    The server may be running. The report alone is on the standard output: `consentful erase … > report.jws`.

    Args:
        customer: The customer's id in the chatbot. All dialogs of this customer are erased.
        dialog: The id of one dialog.
    """
    if (customer is None) == (dialog is None):
        raise BadSetting("customer", "give either --customer or --dialog")

    async def work(service: Service) -> PrivacyRequest | None:
        if customer is not None:
            return await service.privacy_requests.erase(customer, by=OPERATOR)
        try:
            return await service.privacy_requests.erase_dialog(dialog or "", by=OPERATOR)
        except NotFound:
            return None

    done = with_service(place, work)
    if done is None:
        ERR.print("Nothing was erased: no dialog has this id. Check the id, and --data-dir.")
        return 1
    row = {"request": done.id, "dialogs": done.dialogs, "messages": done.messages, "status": done.status}
    if not done.dialogs:
        ERR.print("Nothing was erased: no dialog of this customer is stored. Check the id, and --data-dir.")
        ERR.print(f"The search is recorded as request {done.id}.", highlight=False, soft_wrap=True)
        return 1
    show(ERR, tuple(row), [row], title="Erased")
    OUT.print(done.report, markup=False, soft_wrap=True)
    return 1 if done.status == "pending" else 0


def verify(
    receipt: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    jwks: str | None = None,
    disk: str | None = None,
    dialogs: bool = False,
    log: bool = False,
    head: str | None = None,
    place: Where = Place(),
) -> int:
    """Verify a receipt or an erasure report, every dialog, the access log, or that a text is in no file.

    The exit status is 1 if the answer is no.

    Args:
        receipt: A file with a receipt or an erasure report (compact JWS); `-` is the standard input. Its signature and
            the store are checked.
        jwks: Check the signature alone, with this JWK set: a file, or the URL of the service that signed. No database
            and no keys are needed.
        disk: Search every file of the data and the keys for this text, byte by byte.
        dialogs: Open every stored dialog, and compare it with what was sealed: no message is missing or was altered.
        log: Verify the chain of all access-log entries, and print its head. Save the head outside this machine.
        head: A head that was saved earlier. It must still be part of the chain.
    """
    if (receipt is not None) + (disk is not None) + dialogs + (log or head is not None) != 1:
        raise BadSetting("receipt", "give one of: a receipt's file, --dialogs, --disk, --log")
    if jwks is not None and receipt is None:
        raise BadSetting("jwks", "verifies a receipt; give its file as well")
    if log or head is not None:
        return _check_log(place, head)
    if dialogs:
        return 1 if check_dialogs(place).damaged else 0
    if disk is not None:
        return _search(place, disk)
    text = _text_of(receipt or Path())
    try:
        return _check_receipt(place, text) if jwks is None else verify_receipt(text, jwks, OUT)
    except BadReceipt as refusal:
        ERR.print(f"Not valid: {refusal.detail}.", markup=False, highlight=False, soft_wrap=True)
        return 1


def purge(*, dry_run: bool = False, trust_clock: bool = False, place: Where = Place()) -> int:
    """Erase every dialog whose retention time has expired. The server does the same every hour.

    Nothing is erased if the clock is behind the last purge, or more than 7 days ahead of it: a wrong clock would erase
    dialogs that are not expired.

    Args:
        dry_run: Only count the dialogs.
        trust_clock: The clock is correct. A running server then purges again, too.
    """

    async def count(service: Service) -> int:
        now = to_micros(service.clock.now())
        return await service.store.dialogs.count_expired(now)

    async def erase(service: Service) -> int | datetime:
        trust = retention.Trust(service.store.trusted_time, service.clock)
        if trust_clock:
            await trust.give()
        elif not await trust.is_given() and (last := await trust.since()) is not None:
            return last
        return await retention.purge(service.archive, service.store.dialogs, service.clock)

    dialogs = with_service(place, count) if dry_run else with_service(place, erase)
    if isinstance(dialogs, datetime):
        ERR.print(
            f"Nothing was erased: the clock says {SystemClock().now():%Y-%m-%d %H:%M} UTC, and was last trusted at"
            f" {dialogs:%Y-%m-%d %H:%M} UTC. Correct the clock. If it is correct, because the server was stopped that"
            " long, add --trust-clock.",
            highlight=False,
            soft_wrap=True,
        )
        return 1
    OUT.print(f"{dialogs:,} dialogs {'would be' if dry_run else 'were'} erased.")
    return 0


def processing_record(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> int:
    """Print the record of processing activities (GDPR art. 30) as Markdown, from the settings and the notices."""
    wordings = with_service(settings, lambda service: service.store.notices.all())
    print(processing.processing_record(settings, wordings))  # noqa: T201
    return 0


def _text_of(receipt: Path) -> str:
    """Return the content of a file, or of the standard input.

    Raises:
        BadSetting: If there is no text in it.
    """
    try:
        text = (sys.stdin.buffer.read() if str(receipt) == "-" else receipt.read_bytes()).decode()
    except OSError as error:
        raise BadSetting(
            "receipt", f"{receipt} cannot be read ({error.strerror}); name a file with a receipt"
        ) from None
    except UnicodeDecodeError:
        raise BadSetting("receipt", f"{receipt} is not a text; a receipt is a compact JWS, which is ASCII") from None
    if not text.strip():
        raise BadSetting("receipt", f"{receipt} is empty; name a file with a receipt")
    return text


def _check_receipt(place: Place, text: str) -> int:
    verdict = with_service(place, lambda service: verification.check_receipt(text, service))
    OUT.print_json(data=dict(verdict.claims))
    OUT.print(f"Signature: valid. Content: {verdict.content} ({verdict.detail}).", markup=False, soft_wrap=True)
    return 0 if verdict.is_good else 1


def check_dialogs(place: Place) -> integrity.Proof:
    """Verify every dialog, and print how many are whole and which are not."""

    def tell(dialog_id: str) -> None:
        ERR.print(f"Damaged: {dialog_id}", markup=False, highlight=False, soft_wrap=True)

    proof = with_service(place, lambda service: integrity.prove(service, tell))
    OUT.print(f"{proof.whole:,} dialogs and their receipts verified.")
    if proof.damaged:
        ERR.print(f"{proof.damaged:,} dialogs fail their integrity check; restore them from a backup, or erase them.")
    return proof


def _check_log(place: Place, head: str | None) -> int:
    anchor = None if head is None else read_head(head)
    check = with_service(place, lambda service: service.access_log.check(anchor))
    OUT.print(f"Verified {check.entries:,} entries. Head: {check.head}", highlight=False, soft_wrap=True)
    if check.fault is None:
        return 0
    ERR.print(f"The access log was altered: {check.fault}.", highlight=False, soft_wrap=True)
    return 1


def _search(place: Place, marker: str) -> int:
    folders = [*existing(place).folders, place.keys_dir]
    found = list(verification.search(folders, marker))
    for path in found:
        OUT.print(str(path), markup=False, highlight=False, soft_wrap=True)
    OUT.print(f"Found in {len(found)} files." if found else "Not found in any file of the data and the keys.")
    return 1 if found else 0
