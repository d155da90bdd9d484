"""Choose the store by its URL. No other module knows which kinds of store exist."""

from pathlib import Path
from typing import Final

from ..errors import BadSetting
from .sqlite.backend import SQLiteBackend
from .store import Backend

_FILE: Final = "consentful.db"


def backend_of(database: str, data_dir: Path) -> Backend:
    """Return the backend for the URL of `--database`; without a URL, a file in the data directory.

    Raises:
        BadSetting: If no kind of store has such a URL.
    """
    if not database:
        return SQLiteBackend(data_dir / _FILE)
    scheme, separator, path = database.partition(":///")
    if scheme != "sqlite" or not separator or not path:
        # Without its value: URLs of other stores carry passwords.
        raise BadSetting("database", "must be sqlite:///relative/path or sqlite:////absolute/path; this URL is neither")
    return SQLiteBackend(Path(path))
