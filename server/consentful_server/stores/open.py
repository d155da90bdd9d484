"""Choose the store by its URL. No other module knows which kinds of store exist."""

from pathlib import Path
from typing import Final

from ..errors import BadSetting
from .sqlite.backend import SQLiteBackend
from .store import Backend

_FILE: Final = "consentful.db"
_POSTGRES: Final = ("postgresql://", "postgres://")


def backend_of(database: str, data_dir: Path, read_database: str = "") -> Backend:
    """Return the backend for the URL of `--database`; without a URL, a file in the data directory.

    `read_database` is the URL of a replica for lists and statistics, if there is one.

    Raises:
        BadSetting: If no kind of store has such a URL, or the one that has is not installed; or if only one of the two
            is PostgreSQL's.
    """
    if read_database and not (database.startswith(_POSTGRES) and read_database.startswith(_POSTGRES)):
        raise BadSetting("read_database", "must be postgresql://user@host/database, and --database as well")
    if not database:
        return SQLiteBackend(data_dir / _FILE)
    scheme, separator, path = database.partition(":///")
    if scheme == "sqlite" and separator and path:
        return SQLiteBackend(Path(path))
    if database.startswith(_POSTGRES):
        return _postgres(database, read_database)
    # Without its value: it may carry a password.
    raise BadSetting(
        "database",
        "must be sqlite:///relative/path, sqlite:////absolute/path or postgresql://user@host/database;"
        " this URL is none of them",
    )


def _postgres(database: str, read_database: str) -> Backend:
    try:
        from .postgres.backend import PostgresBackend  # noqa: PLC0415 - only this store needs the extra
    except ModuleNotFoundError:
        raise BadSetting("database", "PostgreSQL needs an extra: pip install 'consentful[server,postgres]'") from None
    return PostgresBackend(database, read_database)
