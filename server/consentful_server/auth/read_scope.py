"""How much of what is kept a reader may see. Pure."""

from collections.abc import Iterable

import msgspec

from ..access_log.chain import SERVICE, Actor


class ReadScope(msgspec.Struct, frozen=True):
    """How much a reader may see: dialogs granted for one of `purposes` (None: any), customer ids if `identify`.

    Whoever reads (`by`) is in the access log.
    """

    purposes: tuple[str, ...] | None = None
    identify: bool = False
    by: Actor = SERVICE

    def covers(self, granted: Iterable[str]) -> bool:
        return self.purposes is None or not set(self.purposes).isdisjoint(granted)
