"""From a URL to a store. Nothing else in the program knows which kinds of store there are."""

from pathlib import Path
from typing import Final

from ..errors import BadSetting
from .sqlite.backend import SQLiteBackend
from .store import Backend

_FILE: Final = "consentful.db"


def backend_of(database: str, data_dir: Path) -> Backend:
    """Return where the store is that `--database` names; without one it is a file in the data directory.

    Raises:
        BadSetting: If no kind of store has such URLs.
    """
    if not database:
        return SQLiteBackend(data_dir / _FILE)
    scheme, separator, path = database.partition(":///")
    if scheme != "sqlite" or not separator or not path:
        raise BadSetting("database", "sqlite:///relative/path or sqlite:////absolute/path")
    return SQLiteBackend(Path(path))
