"""What a reader may see of the stored data. Pure."""

from collections.abc import Iterable
from typing import Final

import msgspec

from ..access_log.chain import SERVICE, Actor


class ReadScope(msgspec.Struct, frozen=True):
    """What a reader may see: dialogs granted for one of `purposes` (None: all), customer ids if `identify`.

    `by` is the reader's name in the access log.
    """

    purposes: tuple[str, ...] | None = None
    identify: bool = False
    by: Actor = SERVICE

    def covers(self, granted: Iterable[str]) -> bool:
        """Return whether the reader may see a dialog that was granted for these purposes."""
        return self.purposes is None or not set(self.purposes).isdisjoint(granted)

    def includes(self, purposes: Iterable[str] | None) -> bool:
        """Return whether the reader may see all that a reader with these purposes (None: all) may see."""
        return self.purposes is None or (purposes is not None and set(self.purposes).issuperset(purposes))


EVERYTHING: Final = ReadScope(identify=True)
"""The scope of the service itself."""
