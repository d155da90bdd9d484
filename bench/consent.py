"""From a granted consent to `stored`, with 50 dialogs at once, beside one fdatasync."""

from . import child, client
from .disk import Disk
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn

_P50 = Figure("consent to stored: p50, 50 at once / fdatasync", "s")
_P99 = Figure("consent to stored: p99, 50 at once / fdatasync", "s")
_PACED = Figure("consent to stored: p50, 300 dialogs/s / fdatasync", "s", 3, 2, less_is_better=True)
_MESSAGES = 10
_A_SECOND = 300
"""The goal names 1,000 a second, more than one core carries here: above the limit a queue would be measured."""


def measure(plan: Plan) -> list[Measured]:
    disk = Disk(plan.new_folder("disk"))
    p99: list[float] = []
    with child.ours(plan) as server:

        def full() -> float:
            options = {"sockets": plan.size(50), "dialogs": plan.size(800), "messages": _MESSAGES}
            result = client.run(plan, "load", server.port, **options)
            p99.append(result["stored_p99"])
            return result["stored_p50"]

        def paced() -> float:
            options = {"sockets": 500, "dialogs": plan.size(500), "messages": _MESSAGES, "rate": _A_SECOND}
            return client.run(plan, "load", server.port, **options)["stored_p50"]

        at_full, at_pace, sync = in_turn(plan.rounds, [full, paced, lambda: disk.seconds(plan.size(300))])
    disk.close()
    return [compare(_P50, at_full, sync), compare(_P99, p99[1:], sync), compare(_PACED, at_pace, sync)]
