"""Which keys belong to which store: a deployment's keys are made once, and known again at every start."""

import asyncio
from pathlib import Path

from ..clock import Clock, to_micros
from ..errors import BadKeys
from . import roots, signing
from .roots import Roots
from .signing import Signer
from .store import EpochStore, FactStore


async def load_keys(
    facts: FactStore, epochs: EpochStore, folder: Path, *, store: str, clock: Clock
) -> tuple[Roots, bytes]:
    """Return the root keys and the deployment's id; make them if both the store and the folder are new.

    `store` is how operators call the store.

    Raises:
        BadKeys: If keys are missing, exposed or another store's; nothing is overwritten.
    """
    known = await facts.all()
    if roots.DEPLOYMENT not in known:
        await asyncio.to_thread(roots.create, folder)
        known = await _found(facts, folder)
    elif not roots.exist(folder):
        raise BadKeys(
            f"{store} was written with keys that are not in {folder}; "
            "name their folder with --keys-dir, or put them back from their own backup; nothing was changed"
        )
    await epochs.begin(roots.FIRST_EPOCH, to_micros(clock.now()), {})
    begun = await epochs.all()
    keys = roots.load(folder)
    emptied = {epoch.number for epoch in begun if epoch.emptied_at is not None}
    roots.check(keys, known[roots.DEPLOYMENT], roots.stated(known, emptied, keys))
    return keys.of({epoch.number for epoch in begun}), known[roots.DEPLOYMENT]


async def replace_signing_key(facts: FactStore, folder: Path, deployment: bytes, signer: Signer) -> None:
    """Sign with a new key from now on. What the present one signed can still be verified; it signs nothing more."""
    keys = await asyncio.to_thread(signing.replace, folder)
    value = roots.check_value(keys.key.private_bytes_raw(), deployment)
    await facts.state({roots.CHECK + keys.name: value})
    await asyncio.to_thread(signing.retire, folder)
    signer.renew(keys)


async def _found(facts: FactStore, folder: Path) -> dict[str, bytes]:
    """Give a new store its deployment's id and the check values of its keys; whoever is first decides."""
    deployment = roots.new_deployment()
    checks = roots.load(folder).checks(deployment)
    await facts.state({roots.DEPLOYMENT: deployment} | {roots.CHECK + name: value for name, value in checks.items()})
    return await facts.all()
