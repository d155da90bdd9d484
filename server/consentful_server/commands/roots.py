"""The operator's commands for the root keys: which there are, and to replace them now."""

from collections.abc import Sequence
from datetime import timedelta

from cyclopts import App
from rich.table import Table

from ..clock import from_micros
from ..keys.deployment import replace_signing_key
from ..keys.rotation import RotationStatus
from ..keys.signing import Jwk
from ..keys.store import Epoch
from ..service import Service
from ..settings import Place
from . import ERR, OUT, Where, with_service

roots = App(name="roots", help="The root keys: list the master key's epochs and the signing keys, or replace them now.")


@roots.command(name="list")
def list_(*, place: Where = Place()) -> int:
    """List the epochs of the master key, how many keys and erasures wait for one to end, and the signing keys."""

    async def look(service: Service) -> tuple[list[Epoch], RotationStatus, Sequence[Jwk]]:
        return await service.store.epochs.all(), await service.rotation.status(), service.signer.jwks

    epochs, status, jwks = with_service(place, look)
    table = Table("epoch", "begun", "master destroyed")
    for epoch in epochs:
        table.add_row(str(epoch.number), _moment(epoch.begun_at), _moment(epoch.destroyed_at))
    OUT.print(table)
    age = timedelta(seconds=round(status.age.total_seconds()))
    OUT.print(f"The epoch is {age} old; {status.left:,} keys are to be rewrapped; {status.incomplete:,} erasures")
    OUT.print("are unreadable, and complete when their epoch has ended.")
    keys = Table("signing key (kid)", "state")
    for number, jwk in enumerate(jwks):
        keys.add_row(jwk["kid"], "verifies" if number else "signs")
    OUT.print(keys)
    return 0


@roots.command
def rotate(*, signing: bool = False, place: Where = Place()) -> int:
    """End the epoch now: rewrap every key, destroy the old master. Works beside a running server.

    Args:
        signing: Replace the key that signs receipts instead. What it signed can still be verified.
    """
    if signing:
        with_service(place, _replace_signing_key)
        OUT.print("A new key signs; running servers take it up within a minute.")
        OUT.print("The old one is destroyed; its public half stays published, to verify with.")
        return 0
    if with_service(place, lambda service: service.rotation.turn()):
        OUT.print("The old master is destroyed. What was erased under it is complete.")
        return 0
    ERR.print("A reader holds the log, or a key cannot be rewrapped; a running server goes on by itself.")
    return 1


async def _replace_signing_key(service: Service) -> None:
    await replace_signing_key(service.store.facts, service.settings.keys_dir, service.deployment, service.signer)


def _moment(at: int | None) -> str:
    return "" if at is None else f"{from_micros(at):%Y-%m-%d %H:%M}"
