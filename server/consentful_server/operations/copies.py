"""The folder of backups: which there are, which of them open, and what was left of one that was interrupted.

    data/NAME.db            keys/NAME/             a backup, which opens
    data/NAME.db                                   its keys ended with their epoch, or were moved elsewhere
    data/NAME.db.partial    keys/NAME.partial/     one that is being made
    data/NAME.db            keys/NAME.partial/     the moment between the two renames that complete it

The name is the time of its snapshot. Files with other names are nobody's here, and stay.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from ..keys.files import destroy_file, sync_folder

KEYS: Final = "dialog_keys.db"
_NAME: Final = "%Y%m%dT%H%M%SZ"
_PARTIAL: Final = ".partial"


def name_of(at: datetime) -> str:
    return f"{at:{_NAME}}"


def time_of(name: str) -> datetime | None:
    """Return the time that a name states; None if it is no backup's."""
    try:
        return datetime.strptime(name, _NAME).replace(tzinfo=UTC)
    except ValueError:
        return None


class Halves(NamedTuple):
    """Where the two halves of one backup lie."""

    data: Path
    keys: Path


class Copies:
    """The backups in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at(self, name: str) -> Halves:
        return Halves(self.folder / "data" / f"{name}.db", self.folder / "keys" / name)

    def partial(self, name: str) -> Halves:
        """Return where a backup lies while it is made."""
        data, keys = self.at(name)
        return Halves(data.with_name(data.name + _PARTIAL), keys.with_name(keys.name + _PARTIAL))

    def names(self) -> list[str]:
        """Return the names of all data copies, oldest first."""
        return sorted(path.stem for path in (self.folder / "data").glob("*.db") if time_of(path.stem))

    def opens(self, name: str) -> bool:
        """Whether the backup's keys are here. A signing key is the last file that is written into them."""
        data, keys = self.at(name)
        return data.is_file() and (keys / KEYS).is_file() and any(keys.glob("*.pem"))

    def newest(self, now: datetime) -> datetime | None:
        """Return when the newest backup that opens was made; one from the future is from a clock that was wrong."""
        made = [time_of(name) for name in self.names() if self.opens(name)]
        return max((at for at in made if at is not None and at <= now), default=None)

    def complete(self, name: str) -> None:
        """Give a partial backup its name, durably. An interruption leaves one that `remove_partial` finds."""
        partial, whole = self.partial(name), self.at(name)
        os.rename(partial.data, whole.data)
        sync_folder(whole.data.parent)
        os.rename(partial.keys, whole.keys)
        sync_folder(whole.keys.parent)

    def remove(self, name: str) -> None:
        """Delete a backup, its keys first: what is left of an interrupted removal opens nothing."""
        data, keys = self.at(name)
        destroy_keys(keys)
        data.unlink(missing_ok=True)

    def remove_partial(self) -> None:
        """Delete what was left of backups that were interrupted. None may be in progress."""
        for keys in (self.folder / "keys").glob(f"*{_PARTIAL}"):
            destroy_keys(keys)
            self.at(keys.name.removesuffix(_PARTIAL)).data.unlink(missing_ok=True)  # between the two renames
        for data in (self.folder / "data").glob(f"*{_PARTIAL}*"):  # what a database keeps beside it as well
            data.unlink()


def destroy_keys(keys: Path) -> None:
    """Destroy a folder of keys: wrapped keys beside a destroyed master are of no use, and secrets all the same."""
    if keys.is_dir():
        for path in list(keys.iterdir()):
            destroy_file(path)
        keys.rmdir()
