"""Our whole server with a store that keeps nothing: what is left is the price of everything but storage."""

import sys

from consentful_server import __main__
from consentful_server.archive.store import Candidate, StoredDialog
from consentful_server.stores.sqlite import store
from consentful_server.stores.sqlite.dialogs import SQLiteDialogs


class Nothing(SQLiteDialogs):
    """Says that it stored, and did not."""

    async def keep(self, candidate: Candidate) -> StoredDialog:
        sealed = candidate.sealed
        fields = {name: getattr(sealed, name) for name in sealed.__struct_fields__}
        return StoredDialog(**fields, number=1, stored_at=sealed.record.decided_at)


if __name__ == "__main__":
    store.SQLiteDialogs = Nothing  # pyright: ignore[reportPrivateImportUsage]
    sys.exit(__main__.main())
