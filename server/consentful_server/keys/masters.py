"""The master keys, under which the dialogs' keys are wrapped; one for each epoch. Here they are files.

A key management service can wrap the files (`wrapping`). One that holds the master keys itself
implements `Masters`, and is passed in `service.open_service`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from . import roots
from .files import destroy_file, sync_folder, write_secret
from .wrapping import PLAIN, Wrapping


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

    def __init__(self, folder: Path, wrapping: Wrapping = PLAIN) -> None:
        self._folder = folder
        self._wrapping = wrapping

    def all(self) -> dict[int, bytes]:
        return roots.masters(self._folder, self._wrapping)

    def make(self, epoch: int) -> None:
        write_secret(self._path(epoch), self._wrapping)
        sync_folder(self._folder)

    def destroy(self, epoch: int) -> None:
        self._wrapping.forget(self._path(epoch).stem)
        destroy_file(self._path(epoch))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{roots.wrapping_name(epoch)}.key"
