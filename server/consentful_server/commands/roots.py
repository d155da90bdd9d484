"""The operator's commands for the root keys: how old they are, and to replace them now."""

from datetime import timedelta

from cyclopts import App
from rich.table import Table

from ..clock import from_micros
from ..rotation import Standing
from ..service import Service
from ..settings import Place
from ..stores.epochs import Epoch
from . import ERR, OUT, Where, with_service

roots = App(name="roots", help="The root keys: list the master key's epochs, or replace it now.")


@roots.command(name="list")
def list_(*, place: Where = Place()) -> int:
    """List the epochs of the master key, and how many keys and erasures wait for one to end."""

    async def look(service: Service) -> tuple[list[Epoch], Standing]:
        return await service.store.epochs.all(), await service.rotation.standing()

    epochs, standing = with_service(place, look)
    table = Table("epoch", "begun", "master destroyed")
    for epoch in epochs:
        table.add_row(str(epoch.number), _moment(epoch.begun_at), _moment(epoch.destroyed_at))
    OUT.print(table)
    age = timedelta(seconds=round(standing.age.total_seconds()))
    OUT.print(f"The epoch is {age} old; {standing.left:,} keys are to be rewrapped; {standing.incomplete:,} erasures")
    OUT.print("are unreadable, and complete when their epoch has ended.")
    return 0


@roots.command
def rotate(*, place: Where = Place()) -> int:
    """End the epoch now: rewrap every key, destroy the old master. Works beside a running server."""
    if with_service(place, lambda service: service.rotation.turn()):
        OUT.print("The old master is destroyed. What was erased under it is complete.")
        return 0
    ERR.print("A reader holds the log, or a key cannot be rewrapped; a running server goes on by itself.")
    return 1


def _moment(at: int | None) -> str:
    return "" if at is None else f"{from_micros(at):%Y-%m-%d %H:%M}"
