"""`consentful notice`: the wordings that customers are shown are added, listed, shown again and retired."""

from pathlib import Path

from cyclopts import App
from rich.table import Table

from ..access_log.chain import OPERATOR
from ..clock import from_micros
from ..consent.notices import read_notice
from ..errors import BadSetting, Conflict
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, with_service

notice = App(name="notice", help="Notices: what customers are shown when they are asked. Each is immutable.")


@notice.command
def add(file: Path, *, place: Where = Place()) -> int:
    """Put a notice on offer, from a TOML file; from then on it is the one that is shown.

    Args:
        file: Has `id`, `controller`, `contact`, `purposes`, `retention_days` and a `[text]` for each language.
    """
    if not file.is_file():
        raise BadSetting("file", f"a notice in TOML; {file} is none")
    wordings = read_notice(file.read_bytes())
    try:
        with_service(place, lambda service: service.offer.add(wordings, by=OPERATOR))
    except Conflict:
        raise BadSetting(
            "id", f"{wordings[0].id} was on offer with other words; give the new ones another id"
        ) from None
    OUT.print(f"{wordings[0].id} is on offer in {', '.join(wording.language for wording in wordings)}.", markup=False)
    return 0


@notice.command(name="list")
def list_notices(place: Where = Place()) -> int:
    """List every wording that was ever on offer, with the hash that receipts name it by."""
    table = Table("id", "language", "sha256", "purposes", "days", "added", "retired")
    for wording in with_service(place, lambda service: service.store.notices.all()):
        moments = (wording.added_at, wording.retired_at)
        table.add_row(
            wording.id,
            wording.language,
            wording.sha256[:12],
            " ".join(wording.purposes),
            str(wording.retention.days),
            *("" if moment is None else f"{from_micros(moment):%Y-%m-%d %H:%M}" for moment in moments),
        )
    OUT.print(table)
    return 0


@notice.command
def show(sha256: str, *, place: Where = Place()) -> int:
    """Print a wording again, exactly as it was shown, from its hash or the beginning of it."""
    for wording in with_service(place, lambda service: service.store.notices.all()):
        if sha256 and wording.sha256.startswith(sha256.lower()):
            OUT.print(wording.text, markup=False, highlight=False, soft_wrap=True)
            return 0
    ERR.print("No wording has this hash; `consentful notice list` shows them.")
    return 1


@notice.command
def retire(notice_id: str, *, place: Where = Place()) -> int:
    """Take a notice off offer. Dialogs that were shown it may still end with a consent to it."""

    async def work(service: Service) -> bool:
        offered = {wording.id for wording in await service.store.notices.all() if wording.retired_at is None}
        if offered == {notice_id}:
            raise BadSetting("notice_id", "the last one on offer; add another one first")
        return await service.offer.retire(notice_id, by=OPERATOR)

    if with_service(place, work):
        return 0
    ERR.print(f"There is no notice {notice_id}; `consentful notice list` shows them.", markup=False)
    return 1
