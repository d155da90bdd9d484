"""How a transaction waits for the write lock of the database, which the service's other processes take as well.

SQLite's own waiting sleeps for 1, 2, 5, 10, 15, 20, 25 ms and so on between its tries, while a transaction of dialogs
holds the lock for about 5: of two busy workers each would wait far longer than the other writes. So the lock is tried
for again after half a millisecond, on a connection that waits for nothing by itself.
"""

import time
from typing import Final

from .connection import BUSY_MS, sqlite3

_AGAIN_S: Final = 0.0005


def wait_for_nothing(db: sqlite3.Connection) -> None:
    """Have the connection fail at once where another one is in its way."""
    db.execute("PRAGMA busy_timeout = 0")


def begin(db: sqlite3.Connection) -> None:
    """Begin a transaction that holds the write lock. The connection waits for nothing by itself.

    Raises:
        OperationalError: If others held it for 5 s, or the transaction cannot begin for another reason.
    """
    until = time.monotonic() + BUSY_MS / 1000
    while not _begins(db, is_last=time.monotonic() >= until):
        time.sleep(_AGAIN_S)


def _begins(db: sqlite3.Connection, *, is_last: bool) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")  # a deferred transaction could fail at its first write
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
