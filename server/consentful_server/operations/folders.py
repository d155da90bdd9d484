"""The folders that a start needs, checked before anything is created in them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..errors import BadSetting
from ..settings import Settings
from ..stores.store import Backend

_PAGE: Final = "index.html"


def check_folders(settings: Settings, backend: Backend) -> None:
    """Check that data, keys and backups can be written, that backups are apart, and that the web pages are there.

    Raises:
        BadSetting: If not. It names the setting and the folder.
    """
    for folder in backend.folders:
        _check_writable("database" if settings.database else "data_dir", folder)
    if not settings.keys_dir.is_dir():  # an existing one may be read-only but for the ledger, which says so itself
        _check_writable("keys_dir", settings.keys_dir)
    if settings.backup_folder is not None:
        _check_writable("backup_folder", settings.backup_folder)
        if clash := overlap(settings.backup_folder, (*backend.folders, settings.keys_dir)):
            raise BadSetting("backup_folder", clash)
    if settings.static_dir is not None and not (settings.static_dir / _PAGE).is_file():
        raise BadSetting(
            "static_dir",
            f"must be a folder with the web pages; {settings.static_dir} has no {_PAGE}; omit it to use the package's",
        )


def overlap(backups: Path, owned: Iterable[Path]) -> str | None:
    """Return in a sentence which of the folders a backup in this one would be in, or would contain; None if none."""
    for own in owned:
        for path in (backups / "data", backups / "keys"):
            one, other = own.resolve(), path.resolve()
            if one == other or one in other.parents or other in one.parents:
                return (
                    f"{backups} would hold {path}, which overlaps {own}; name a folder apart from the data and the keys"
                )
    return None


def _check_writable(setting: str, folder: Path) -> None:
    """Check that the folder, or else the nearest one above it that exists, can be written."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise BadSetting(setting, f"must be a folder; {folder} cannot be one, because {nearest} is a file")
    is_effective = os.access in os.supports_effective_ids
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=is_effective):
        is_read_only = bool(os.statvfs(nearest).f_flag & os.ST_RDONLY)
        remedy = "its file system is read-only" if is_read_only else f"change the owner of {nearest}"
        raise BadSetting(setting, f"must be a folder that this user can write; {folder} is not: {remedy}")
