"""The master keys, under which the dialogs' keys are wrapped; one for each epoch. Here they are files.

Another holder (a key management service, a hardware module) creates, returns and destroys 32 bytes for each epoch:
implement `Masters`, and pass it in `service.open_service`.
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
    """Holds one master key for each epoch that has not ended."""

    def all(self) -> Mapping[int, bytes]:
        """Return the master keys by epoch.

        Raises:
            BadKeys: If one is malformed, or readable by others than its owner.
        """
        ...

    def make(self, epoch: int) -> None:
        """Create the master key of an epoch, durably; an existing one stays."""
        ...

    def destroy(self, epoch: int) -> None:
        """Destroy the master key of an epoch with every copy of this holder, durably; a missing one is no error."""
        ...


class FileMasters:
    """Master keys as files, beside the other root keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for path in sorted(self._folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                try:
                    found[int(match[1])] = read_secret(path)
                except BadKeys:
                    # Another process may have ended the epoch meanwhile, and overwritten and removed its master.
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
