"""`consentful roots`: list and rotate the root keys."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from cyclopts import App

from ..keys.deployment import replace_signing_key
from ..keys.rotation import RotationStatus
from ..keys.signing import Jwk
from ..keys.store import Epoch
from ..operations.rebuilding import rebuild_ledger as rebuild
from ..operations.wrapping import wrap_alone
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, existing, with_service
from .listing import AsJson, moment, show, show_json

_BUSY: Final = "Not done: another process changes keys now. Run this command again when it has finished."

roots = App(name="roots", help="List or rotate the root keys: the master key of each epoch, and the signing keys.")


@roots.command(name="list")
def list_(*, json: AsJson = False, place: Where = Place()) -> int:
    """List the master key's epochs, the keys and erasures that wait for an epoch to end, and the signing keys."""

    async def look(service: Service) -> tuple[list[Epoch], RotationStatus, Sequence[Jwk]]:
        return await service.store.epochs.all(), await service.rotation.status(), service.signer.jwks

    epochs, status, jwks = with_service(place, look)
    ages = [
        {"epoch": it.number, "started": moment(it.begun_at), "master_key_destroyed": moment(it.destroyed_at)}
        for it in epochs
    ]
    signing = [{"kid": jwk["kid"], "state": "verifies" if number else "signs"} for number, jwk in enumerate(jwks)]
    if json:
        left = {"keys_to_rewrap": status.left, "incomplete_erasures": status.incomplete}
        show_json({"epochs": ages, "age_s": round(status.age.total_seconds()), **left, "signing_keys": signing})
        return 0
    show(OUT, ("epoch", "started", "master_key_destroyed"), ages)
    age = timedelta(seconds=round(status.age.total_seconds()))
    OUT.print(f"Age of the current epoch: {age}. Keys to rewrap: {status.left:,}.")
    OUT.print(f"Erasures that become complete when their epoch ends: {status.incomplete:,}.")
    show(
        OUT, ("signing key (kid)", "state"), [{"signing key (kid)": it["kid"], "state": it["state"]} for it in signing]
    )
    return 0


@roots.command
def rotate(*, signing: bool = False, place: Where = Place()) -> int:
    """End the epoch now: rewrap all dialog keys with a new master key and destroy the old one.

    The server may be running.

    Args:
        signing: Replace the signing key instead. Receipts of the old key can still be verified.
    """
    if signing:
        if not with_service(place, _replace_signing_key):
            ERR.print(_BUSY)
            return 1
        OUT.print("Created a new signing key. Running servers use it within a minute.")
        OUT.print("Destroyed the old private key. Its public key stays published, to verify earlier receipts.")
        return 0
    if with_service(place, lambda service: service.rotation.turn()):
        OUT.print("Destroyed the old master key. Erasures of its epoch are complete.")
        return 0
    ERR.print("Not finished: a running read still needs earlier copies of keys, another process changes keys now,")
    ERR.print("or a dialog key cannot be rewrapped.")
    ERR.print("A running server retries; without one, run this command again.")
    return 1


@roots.command
def wrap(*, place: Where = Place()) -> int:
    """Have the key management service of --keys-command wrap the root keys. Stop all servers before.

    Start them with the same --keys-command. Copies of the keys that were made before still hold them unwrapped.
    """
    done = asyncio.run(wrap_alone(existing(place), place))
    if done is None:
        ERR.print(_BUSY)
        return 1
    OUT.print(f"Wrapped {len(done)} keys{': ' if done else ''}{', '.join(done)}.", markup=False, soft_wrap=True)
    return 0


@roots.command
def rebuild_ledger(*, place: Where = Place()) -> int:
    """Write into the ledger of erasures what the database knows and the ledger does not. Stop the server before.

    For a ledger that is lost or an older copy. If you have its newest copy, put that back instead: erasures that were
    made after a backup that you restored are in no database.
    """
    made = asyncio.run(rebuild(place))
    OUT.print(f"Added {made.erased:,} erasures, {made.retracted:,} retractions, {made.revoked:,} revoked API keys and")
    OUT.print(f"{made.retired:,} retired notices. Which consents were narrowed is in the lost ledger alone.")
    return 0


async def _replace_signing_key(service: Service) -> bool:
    async def work() -> bool:
        await replace_signing_key(
            service.store.facts, service.settings.keys_dir, service.deployment, service.signer, service.wrapping
        )
        return True

    return bool(await service.rotation.alone(work))
