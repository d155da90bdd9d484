"""`consentful capacity`: what a load needs, by measured costs."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, get_args

from cyclopts import Parameter
from cyclopts.validators import Number

from ..operations.capacity import Load, Need, Node, StoreName, needed
from . import OUT
from .listing import AsJson, show, show_json

_MOST: Final = 1e12
_USUAL: Final = Load(dialogs_per_day=1)
_NODE: Final = Node()

_Positive: Final = Parameter(validator=Number(gt=0, lte=_MOST))
_Share: Final = Parameter(validator=Number(gt=0, lte=1))
_Factor: Final = Parameter(validator=Number(gte=1, lte=_MOST))
_HEADINGS: Final = ("needed", *get_args(StoreName))
_GIB: Final = 1024**3


def capacity(
    *,
    dialogs_per_day: Annotated[float, _Positive],
    minutes: Annotated[float, _Positive] = _USUAL.minutes,
    messages: Annotated[float, _Positive] = _USUAL.messages,
    characters: Annotated[float, _Positive] = _USUAL.characters,
    granted: Annotated[float, _Share] = _USUAL.granted,
    peak: Annotated[float, _Factor] = _USUAL.peak,
    retention_days: Annotated[float, _Positive] = _USUAL.retention_days,
    cores: Annotated[int, _Positive] = _NODE.cores,
    memory: Annotated[float, _Positive] = _NODE.memory,
    disk: Annotated[float, _Positive] = _NODE.disk,
    as_json: AsJson = False,
) -> None:
    """Estimate what a load needs with each kind of database, by costs measured on one machine.

    Args:
        dialogs_per_day: Dialogs that are opened on a day.
        minutes: How long a dialog is open.
        messages: Messages of a dialog.
        characters: Bytes of a message in UTF-8.
        granted: Share of the dialogs that are stored.
        peak: The busiest hour beside the mean.
        retention_days: How long a dialog is kept.
        cores: Cores of one node.
        memory: GiB of memory of one node, for live dialogs.
        disk: GiB of the disk.
    """
    load = Load(
        dialogs_per_day=dialogs_per_day,
        minutes=minutes,
        messages=messages,
        characters=characters,
        granted=granted,
        peak=peak,
        retention_days=retention_days,
    )
    needs = [needed(load, Node(cores=cores, memory=memory, disk=disk), store) for store in get_args(StoreName)]
    if as_json:
        show_json(needs)
    else:
        show(OUT, _HEADINGS, list(_rows(needs)))


def _rows(needs: list[Need]) -> Iterator[dict[str, Any]]:
    for name in ("opened_per_second", "stored_per_second", "open_at_once", "memory", "cores", "disk", "nodes"):
        yield _row(name, needs)
    yield _row("connections", needs)
    yield {"needed": "first bottleneck"} | {need.store: f"{need.bottleneck}, {need.share:.0%} used" for need in needs}


def _row(name: str, needs: list[Need]) -> dict[str, Any]:
    return {"needed": name.replace("_", " ")} | {need.store: _written(name, getattr(need, name)) for need in needs}


def _written(name: str, value: float) -> str:
    if name in ("memory", "disk"):
        return f"{value / _GIB:.2f} GiB"
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
