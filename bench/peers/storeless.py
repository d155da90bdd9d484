"""Our whole server with a store that keeps nothing: what is left is the price of everything but storage."""

import sys

from consentful_server import __main__, service
from consentful_server.archive.store import Candidate, SealedDialog
from consentful_server.stores.sqlite import SQLiteStore


class Nothing(SQLiteStore):
    """Says that it stored, and did not."""

    async def keep(self, candidate: Candidate) -> SealedDialog:
        return candidate.sealed


if __name__ == "__main__":
    service.SQLiteStore = Nothing  # pyright: ignore[reportPrivateImportUsage]
    sys.exit(__main__.main())
