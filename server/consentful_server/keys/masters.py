"""Who holds the master keys that the dialogs' keys are wrapped under. The only holder is a folder of files.

Another one (a key management service, a hardware module) makes, gives out and destroys 32 bytes for each epoch; it
implements `Masters`, and `service.open_service` is where it goes.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from ..errors import BadKeys
from .files import destroy_file, read_secret, sync_folder, write_secret
from .roots import wrapping_name

_NAME: Final = re.compile(r"wrapping-(\d+)\.key")


class Masters(Protocol):
    """Holds one master for each epoch that has not ended."""

    def all(self) -> Mapping[int, bytes]:
        """Return the masters by epoch.

        Raises:
            BadKeys: If one is malformed, or readable by anyone but its owner.
        """
        ...

    def make(self, epoch: int) -> None:
        """Make a master, durably; one that is there already stays."""
        ...

    def destroy(self, epoch: int) -> None:
        """Destroy a master, durably, with every copy that this holder has; one that is gone already is no error."""
        ...


class FileMasters:
    """Masters as files, beside the other roots."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for path in sorted(self._folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                try:
                    found[int(match[1])] = read_secret(path)
                except BadKeys:
                    # Another process may end an epoch, and overwrite and remove its master, between two lines here.
                    if path.exists():
                        raise
        return found

    def make(self, epoch: int) -> None:
        write_secret(self._path(epoch))
        sync_folder(self._folder)

    def destroy(self, epoch: int) -> None:
        destroy_file(self._path(epoch))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{wrapping_name(epoch)}.key"
