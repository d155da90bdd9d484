"""`consentful roots wrap`: have a key management service wrap the root keys that lie on the disk as they are."""

import asyncio
from pathlib import Path

from ..clock import SystemClock
from ..errors import BadKeys, BadSetting
from ..keys import roots
from ..keys.files import destroy_leftovers, read_private, replace
from ..keys.rotation import LEASE, LEASE_LENGTH
from ..keys.wrapping import MARK, wrapping_of
from ..leases import held
from ..privacy import ledger
from ..privacy.ledger import Ledger
from ..settings import Place
from ..stores.steps import refuse_pending
from ..stores.store import Backend


async def wrap_alone(backend: Backend, place: Place) -> list[str] | None:
    """Wrap as `wrap_roots` does, while no other process changes keys; None, without a change, if one does now.

    The service is not opened: it refuses keys that are not wrapped, when it has a command that unwraps them.

    Raises:
        BadDatabase: If the database cannot be opened, or its schema is an earlier release's.
        BadSetting, BadKeys: As `wrap_roots`.
    """
    refuse_pending(backend.pending(), backend.name)
    store = await backend.open(SystemClock(), Ledger(place.keys_dir / ledger.NAME))
    try:
        async with held(store.leases, LEASE, LEASE_LENGTH) as is_alone:
            return await asyncio.to_thread(wrap_roots, place) if is_alone else None
    finally:
        await store.close()


def wrap_roots(place: Place) -> list[str]:
    """Wrap every root key that is not wrapped yet, and destroy what was there; return the names of the files.

    Each step is durable, and the whole can be repeated. Stop all servers before: they read the files that are replaced.

    Raises:
        BadSetting: If there is no --keys-command.
        BadKeys: If there are no keys, the service fails, or a file cannot be written. What was wrapped stays wrapped.
    """
    if not place.keys_command:
        raise BadSetting("keys_command", "is missing; name the program, or the URL, that is to wrap the keys")
    wrapping = wrapping_of(place.keys_command)
    if not roots.exist(place.keys_dir):
        raise BadKeys(f"{place.keys_dir} has no keys; name their folder with --keys-dir; nothing was changed")
    done: list[str] = []
    try:
        destroy_leftovers(place.keys_dir)
        for path in _secrets(place.keys_dir):
            content = read_private(path)
            if content.startswith(MARK):
                wrapping.unwrap(path.stem, content)  # a service that cannot do that must not get the others
            else:
                replace(path, wrapping.wrap(path.stem, content))
                done.append(path.name)
    except OSError as error:
        raise BadKeys(
            f"{error.filename or place.keys_dir} cannot be written ({error.strerror}); mend that, and run this again"
        ) from None
    return done


def _secrets(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.key"), *folder.glob("signing*.pem")])
