"""One server under one load: what its client measured, and the processor time that the server took meanwhile."""

from collections.abc import Callable

from .child import Child
from .figure import Figure, Measured, compare

Load = Callable[[], dict[str, float]]


class Side:
    """A server and its load. Each call is one round, and returns what was done a second."""

    def __init__(self, server: Child, load: Load, counted: str = "dialogs") -> None:
        self._server = server
        self._load = load
        self._counted = counted
        self._rounds: list[dict[str, float]] = []

    def __call__(self) -> float:
        before = self._server.cpu_seconds()
        result = self._load()
        spent = self._server.cpu_seconds() - before
        done = result[self._counted]
        self._rounds.append(result | {"rate": done / result["seconds"], "cpu_us": spent / done * 1e6})
        return self._rounds[-1]["rate"]

    def values(self, name: str) -> list[float]:
        """Return this value of each round but the first, which `in_turn` throws away."""
        return [values[name] for values in self._rounds[1:]]


def faced(figure: Figure, ours: Side, peer: Side) -> Measured:
    """Return both rates, each with its processor time beside it."""
    cpus = ours.values("cpu_us"), peer.values("cpu_us")
    return compare(figure, ours.values("rate"), peer.values("rate"), cpus=cpus)
