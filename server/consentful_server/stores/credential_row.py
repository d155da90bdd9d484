"""An API key as a row of the table `credentials`, which has the same columns in both kinds of store."""

import json
from collections.abc import Sequence
from typing import Any, Final

from ..auth.store import Credential

COLUMNS: Final = "id, name, hash, scopes, purposes, created_at, expires_at, revoked_at, last_used_at"
"""In the order of `credential_of` and `row_of`."""


def credential_of(row: Sequence[Any]) -> Credential:
    """Return the credential of a row."""
    key_id, name, digest, scopes, purposes, created_at, expires_at, revoked_at, last_used_at = row
    return Credential(
        id=key_id,
        name=name,
        hash=digest,
        scopes=tuple(json.loads(scopes)),
        purposes=None if purposes is None else tuple(json.loads(purposes)),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
    )


def row_of(credential: Credential) -> tuple[Any, ...]:
    """Return the values of its columns."""
    return (
        credential.id,
        credential.name,
        credential.hash,
        json.dumps(credential.scopes),
        None if credential.purposes is None else json.dumps(credential.purposes),
        credential.created_at,
        credential.expires_at,
        credential.revoked_at,
        credential.last_used_at,
    )
