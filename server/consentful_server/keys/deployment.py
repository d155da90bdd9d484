"""The keys of a deployment: created once with a new store, and verified against it at every start.

    store new, folder new          create the keys, record their check values
    store known, keys match        load them
    store known, keys missing      BadKeys: new keys could not open the stored dialogs
    store known, other keys        BadKeys
    store new, folder with keys    keep them, and warn: the disk of the data may not be mounted

Nothing is ever overwritten. Several processes may start at the same time: each file is created by one of them
(`files.write_new`), and the first recorded deployment id and check values count (`FactStore.state`).
"""

import asyncio
import logging
from pathlib import Path
from typing import Final

from ..clock import Clock, to_micros
from ..errors import BadKeys
from . import roots, signing
from .roots import Roots
from .signing import Signer
from .store import EpochStore, FactStore
from .wrapping import PLAIN, Wrapping

_log: Final = logging.getLogger("consentful.server")


async def load_keys(
    facts: FactStore, epochs: EpochStore, folder: Path, *, store: str, clock: Clock, wrapping: Wrapping = PLAIN
) -> tuple[Roots, bytes]:
    """Return the root keys and the deployment's id; create both if the store is new.

    `store` is the store's name for messages to operators.

    Raises:
        BadKeys: If keys are missing, readable by others, or belong to another store; nothing is overwritten.
    """
    known = await facts.all()
    if roots.DEPLOYMENT not in known:
        if roots.exist(folder):
            _log.warning(
                "the database is new, and its keys are not: if there should be dialogs, stop the server, and check "
                "that the disk of the data is mounted, and the setting that names the database",
                extra={"database": store, "keys_dir": str(folder)},
            )
        await asyncio.to_thread(roots.create, folder, wrapping)
        known = await _record(facts, folder, wrapping)
    elif not roots.exist(folder):
        raise BadKeys(
            f"{store} was written with keys that are not in {folder}; "
            "name their folder with --keys-dir, or restore them from the keys backup; nothing was changed"
        )
    await epochs.begin(roots.FIRST_EPOCH, to_micros(clock.now()), {})  # no effect after the first start
    begun = await epochs.all()
    keys = await asyncio.to_thread(roots.load, folder, wrapping)
    emptied = {epoch.number for epoch in begun if epoch.emptied_at is not None}
    # Masters of emptied epochs may be destroyed, or be about to be: a crash can fall between the two steps.
    roots.check(keys, known[roots.DEPLOYMENT], roots.stated(known, emptied, keys))
    return keys.of({epoch.number for epoch in begun}), known[roots.DEPLOYMENT]


async def replace_signing_key(
    facts: FactStore, folder: Path, deployment: bytes, signer: Signer, wrapping: Wrapping = PLAIN
) -> None:
    """Sign with a new key from now on, and destroy the private half of the present one.

    Earlier signatures still verify: the public half is kept. A crash at any step leaves a key that signs.
    """
    keys = await asyncio.to_thread(signing.replace, folder, wrapping)
    value = roots.check_value(keys.key.private_bytes_raw(), deployment)
    await facts.state({roots.CHECK + keys.name: value})  # before the old key is destroyed, or nothing vouches for it
    await asyncio.to_thread(signing.retire, folder)
    signer.renew(keys)


async def _record(facts: FactStore, folder: Path, wrapping: Wrapping) -> dict[str, bytes]:
    """Record the deployment's id and the check values of its keys; return the facts, perhaps another process's."""
    deployment = roots.new_deployment()
    checks = (await asyncio.to_thread(roots.load, folder, wrapping)).checks(deployment)
    await facts.state({roots.DEPLOYMENT: deployment} | {roots.CHECK + name: value for name, value in checks.items()})
    return await facts.all()
