"""What a load needs: open dialogs, memory, cores, disk, connections, nodes. Pure arithmetic on measured costs.

    dialogs a day ──peak──► dialogs a second ──length (Little's law)──► open at once ──► memory
                                  ├──processor time of a dialog──► cores
                                  └──share that is granted──► stored a second ──► the writer
    dialogs a day ──share that is granted, retention──► kept ──► disk

The costs are those of the machine in `docs/benchmarks.md`, rounded up. Nothing here replaces a measurement of your own.
"""

import math
from typing import Final, Literal, TypeAlias

import msgspec

from ..dialogs.dialog import OVERHEAD_BYTES
from ..dialogs.registry import DIALOG_BYTES

StoreName: TypeAlias = Literal["sqlite", "postgresql"]

_DAY_S: Final = 86_400

_DIALOG_CPU_S: Final = 700e-6
"""Processor time of a dialog without its messages: connection, notice, consent, sealing, storage."""
_MESSAGE_CPU_S: Final = 40e-6
"""Of each message that is acked before the next one comes."""
_BUSY: Final = 0.5
"""How much of a core is used at the peak: beyond that, queues form."""

_DISK_BYTES: Final[dict[StoreName, tuple[int, int]]] = {"sqlite": (2_500, 155), "postgresql": (3_200, 410)}
"""On the disk beside the texts: of a dialog, and of each of its messages, indexes included."""
_TEXT_ON_DISK: Final = 1.1
"""Texts are sealed, which does not compress them, and pages are not full."""

_STORED_A_SECOND: Final[dict[StoreName, float]] = {"sqlite": 900, "postgresql": 500}
"""Dialogs that one database stores: there is one writer at a time, with one fsync for a batch."""
_CONNECTIONS: Final = 10
"""Of each process to PostgreSQL, at most."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected. `minutes` is how long a dialog is open, `peak` the busiest hour beside the mean, `characters`
    the bytes of a message in UTF-8, `granted` the share of dialogs that are stored.
    """

    dialogs_per_day: float
    minutes: float = 5
    messages: float = 20
    characters: float = 60
    granted: float = 0.5
    peak: float = 4
    retention_days: float = 365


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What one machine has for the service; sizes in GiB."""

    cores: int = 4
    memory: float = 4
    disk: float = 500


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What the load needs. Sizes are bytes; rates are of the busiest hour."""

    store: StoreName
    opened_per_second: float
    stored_per_second: float
    open_at_once: int
    memory: int
    cores: float
    disk: int
    nodes: int
    connections: int
    bottleneck: Literal["cores", "memory", "disk", "writer"]
    share: float
    """How much of what there is of the bottleneck is used: of one node, of its disk, of the one writer."""


def needed(load: Load, node: Node, store: StoreName) -> Need:
    """Return what the load needs with this store."""
    opened = load.dialogs_per_day / _DAY_S * load.peak
    stored = opened * load.granted
    open_at_once = math.ceil(opened * load.minutes * 60)  # Little's law: L = λW
    memory = open_at_once * round(DIALOG_BYTES + load.messages * (OVERHEAD_BYTES + load.characters))
    cores = opened * (_DIALOG_CPU_S + load.messages * _MESSAGE_CPU_S) / _BUSY
    shares = {
        "cores": cores / node.cores,
        "memory": memory / (node.memory * 1024**3),
        "disk": (disk := _disk(load, store)) / (node.disk * 1024**3),
        "writer": stored / _STORED_A_SECOND[store],
    }
    bottleneck = max(shares, key=lambda name: shares[name])
    nodes = math.ceil(max(shares["cores"], shares["memory"]))
    processes = max(nodes, math.ceil(cores))
    return Need(
        store=store,
        opened_per_second=opened,
        stored_per_second=stored,
        open_at_once=open_at_once,
        memory=memory,
        cores=cores,
        disk=disk,
        nodes=max(1 if store == "sqlite" else 2, nodes),  # of several, one can be restarted
        connections=0 if store == "sqlite" else max(2, processes) * _CONNECTIONS,
        bottleneck=bottleneck,  # pyright: ignore[reportArgumentType] - one of these four
        share=shares[bottleneck],
    )


def _disk(load: Load, store: StoreName) -> int:
    of_dialog, of_message = _DISK_BYTES[store]
    kept = load.dialogs_per_day * load.granted * load.retention_days
    return round(kept * (of_dialog + load.messages * (of_message + load.characters * _TEXT_ON_DISK)))
