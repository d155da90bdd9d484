"""`consentful move`: a deployment moves to another database."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..access_log.verification import Check
from ..errors import BadSetting
from ..keys.decommissioned import refuse_decommissioned
from ..keys.wrapping import wrapping_of
from ..operations import integrity, moving
from ..service import Service
from ..settings import Place
from ..stores.copying import Tell
from ..stores.open import backend_of
from ..stores.store import Backend
from . import ERR, OUT, with_service

_LINE_EVERY_S: Final = 10.0


def move(
    origin: str, target: str, /, *, finish: bool = False, keys_dir: Path = Path("keys"), keys_command: str = ""
) -> int:
    """Move a deployment's data from the database ORIGIN to TARGET, of the same kind or not.

    Without `--finish`, copy what is there now, except the dialogs' keys. The server may be running. To go on after an
    interruption, or to fetch what is new, run the same command again.

    With `--finish`, copy the rest, compare every row, and put TARGET in use: ORIGIN refuses every change from then on.
    A server on ORIGIN cannot write meanwhile; start it with TARGET afterwards. Then open every dialog in TARGET, verify
    receipts and the access log, and destroy the dialogs' keys in ORIGIN.

    Args:
        origin: URL of the database that is in use, as for `--database`.
        target: URL of a database that is new or empty, or of the unfinished copy.
        finish: Complete the move.
        keys_dir: Directory of the root keys; it stays the same.
        keys_command: Program or URL of the key management service that wraps the root keys, if one does.
    """
    at_origin, at_target = (
        Place(database=url, keys_dir=keys_dir, keys_command=keys_command) for url in (origin, target)
    )
    refuse_decommissioned(keys_dir)
    source, copy = _at("ORIGIN", at_origin), _at("TARGET", at_target)
    if not source.exists():
        raise BadSetting("ORIGIN", f"there is no database at {source.name}; name the one that is in use")
    wrapping = wrapping_of(keys_command)
    with shown(ERR) as tell:
        if not finish:
            asyncio.run(moving.copy(source, copy, keys_dir, tell, wrapping))
            _say(f"Copied. {source.name} is still in use. To complete the move, add --finish.")
            return 0
        finished = asyncio.run(moving.finish(source, copy, keys_dir, tell, wrapping))
        if finished is not None:
            _say(f"{sum(finished.rows.values()):,} rows in {len(finished.rows)} tables are the same in both.")
            _say(f"{copy.name} is in use: start the server with it.")
        if not _is_verified(at_target, finished.rows["dialogs"] if finished else 0, tell):
            ERR.print(f"The keys in {source.name} were not destroyed.", markup=False, soft_wrap=True)
            return 1
    destroyed = asyncio.run(moving.close_origin(source))
    _say(f"Destroyed {destroyed:,} dialog keys in {source.name}. Delete it.")
    return 0


def _at(argument: str, place: Place) -> Backend:
    """Return the backend of a place; a refusal of its URL names the argument, because no setting has it.

    Raises:
        BadSetting: If no kind of store has such a URL.
    """
    try:
        return backend_of(place.database, place.data_dir)
    except BadSetting as refusal:
        raise BadSetting(argument, refusal.remedy) from None


def _is_verified(place: Place, dialogs: int, tell: Tell) -> bool:
    """Open all dialogs, verify their receipts and the access log, and tell what was found; return whether all is well.

    `dialogs` is how many there are; 0 if that is not known.
    """

    def damaged(dialog_id: str) -> None:
        ERR.print(f"Damaged: {dialog_id}", markup=False, highlight=False, soft_wrap=True)

    async def work(service: Service) -> tuple[integrity.Proof, Check]:
        proof = await integrity.prove(service, damaged, passed=lambda done: tell("verifying", done, dialogs))
        return proof, await service.access_log.check()

    proof, check = with_service(place, work)
    _say(f"{proof.whole:,} dialogs and their receipts verified, and {check.entries:,} entries of the access log.")
    _say(f"Head: {check.head}")
    if proof.damaged:
        ERR.print(
            f"{proof.damaged:,} dialogs fail their integrity check. They are as they were; erase them, and retry."
        )
    if check.fault is not None:
        ERR.print(f"The access log was altered: {check.fault}.", markup=False, highlight=False, soft_wrap=True)
    return not proof.damaged and check.fault is None


@contextmanager
def shown(console: Console) -> Generator[Tell]:
    """Show how far each step is: with bars on a terminal, otherwise as a line now and then and one at its end."""
    if not console.is_terminal:
        yield _Lines(console).tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step)
            progress.update(tasks[step], completed=done, total=total or None)

        yield tell


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic() + _LINE_EVERY_S

    def tell(self, step: str, done: int, total: int) -> None:
        if done >= total or time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_S
            of = f" of {total:,}" if total else ""
            self._console.print(f"{step}: {done:,}{of}", highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    OUT.print(text, markup=False, highlight=False, soft_wrap=True)
