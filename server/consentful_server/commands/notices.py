"""`consentful notice`: add, list, show and retire notices, the wordings that ask customers for consent."""

from pathlib import Path
from typing import Any

from cyclopts import App

from ..access_log.chain import OPERATOR
from ..consent.notices import Wording, read_notice
from ..errors import BadSetting, Conflict
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, with_service
from .listing import AsJson, moment, show, show_json

_COLUMNS = ("id", "language", "sha256", "purposes", "days", "added", "retired")

notice = App(name="notice", help="Manage notices, the wordings that ask customers for consent. A notice never changes.")


@notice.command
def add(file: Path, *, place: Where = Place()) -> int:
    """Add a notice from a TOML file. New dialogs show the latest notice.

    Args:
        file: Contains `id`, `controller`, `contact`, `purposes`, `retention_days` and a `[text]` with each language;
            if customers should read more than the ids of purposes, also `[purpose_names.en]` and so on.
    """
    if not file.is_file():
        raise BadSetting("file", f"must be a TOML file with a notice; {file} is not a file")
    wordings = read_notice(file.read_bytes())
    try:
        with_service(place, lambda service: service.offer.add(wordings, by=OPERATOR))
    except Conflict:
        raise BadSetting(
            "id", f"{wordings[0].id} exists with another wording; use a new id for the new wording"
        ) from None
    languages = ", ".join(wording.language for wording in wordings)
    OUT.print(f"Added notice {wordings[0].id} in {languages}.", markup=False)
    return 0


@notice.command(name="list")
def list_notices(*, json: AsJson = False, place: Where = Place()) -> int:
    """List all notices, including retired ones, with the hashes that receipts refer to."""
    rows = [_row(wording) for wording in with_service(place, lambda service: service.store.notices.all())]
    if json:
        show_json(rows)
    else:
        show(OUT, _COLUMNS, rows)
    return 0


@notice.command(name="show")
def show_notice(sha256: str, *, place: Where = Place()) -> int:
    """Print a notice exactly as customers saw it, by its hash or the beginning of the hash."""
    for wording in with_service(place, lambda service: service.store.notices.all()):
        if sha256 and wording.sha256.startswith(sha256.lower()):
            OUT.print(wording.text, markup=False, highlight=False, soft_wrap=True)
            return 0
    ERR.print("No notice has this hash; `consentful notice list` shows all notices.")
    return 1


@notice.command
def retire(notice_id: str, *, place: Where = Place()) -> int:
    """Retire a notice. Dialogs that have shown it can still be granted."""

    async def work(service: Service) -> bool:
        offered = {wording.id for wording in await service.store.notices.all() if wording.retired_at is None}
        if offered == {notice_id}:
            raise BadSetting("notice_id", "is the only notice that is not retired; add another notice first")
        return await service.offer.retire(notice_id, by=OPERATOR)

    if with_service(place, work):
        return 0
    ERR.print(f"Notice {notice_id} not found; `consentful notice list` shows all notices.", markup=False)
    return 1


def _row(wording: Wording) -> dict[str, Any]:
    return {
        "id": wording.id,
        "language": wording.language,
        "sha256": wording.sha256,
        "purposes": wording.purposes,
        "days": wording.retention.days,
        "added": moment(wording.added_at),
        "retired": moment(wording.retired_at),
    }
