"""`consentful keys`: create, list and revoke API keys."""

from datetime import timedelta

from cyclopts import App
from rich.table import Table

from ..access_log.chain import OPERATOR
from ..auth.access import Scope
from ..auth.store import Credential
from ..clock import SystemClock, from_micros, to_micros
from ..errors import BadSetting
from ..settings import Place
from . import ERR, OUT, Where, with_service

keys = App(name="keys", help="Create, list and revoke API keys. The database holds only their hashes.")


@keys.command
def create(
    *,
    name: str,
    scope: list[Scope],
    purpose: list[str] | None = None,
    days: int | None = None,
    place: Where = Place(),
) -> int:
    """Create an API key and print it. It cannot be shown again.

    Args:
        name: The client that uses the key. Dialogs belong to the name: a new key of the same name replaces an old one.
        scope: The key's scopes.
        purpose: Restrict reading to dialogs with consent for one of these purposes; omit it for all.
        days: The key expires after this many days; omit it for no expiry.
    """
    if days is not None and days < 1:
        raise BadSetting("days", "must be a whole number above 0")
    end = None if days is None else to_micros(SystemClock().now() + timedelta(days=days))
    print(with_service(place, lambda service: service.api_keys.create(name, scope, purpose, end, by=OPERATOR)))  # noqa: T201
    return 0


@keys.command(name="list")
def list_keys(place: Where = Place()) -> int:
    """List all API keys, including revoked ones."""
    table = Table("id", "name", "scopes", "purposes", "created", "expires", "revoked", "last used")
    for credential in with_service(place, lambda service: service.store.credentials.all()):
        table.add_row(*_row(credential))
    OUT.print(table)
    return 0


@keys.command
def revoke(key_id: str, *, place: Where = Place()) -> int:
    """Revoke an API key by its id. A running server refuses it within five seconds."""
    if with_service(place, lambda service: service.api_keys.revoke(key_id, by=OPERATOR)):
        return 0
    ERR.print(f"Key {key_id} not found; `consentful keys list` shows all keys.", markup=False)
    return 1


def _row(credential: Credential) -> list[str]:
    moments = (credential.created_at, credential.expires_at, credential.revoked_at, credential.last_used_at)
    return [
        credential.id,
        credential.name,
        " ".join(credential.scopes),
        "all" if credential.purposes is None else " ".join(credential.purposes),
        *("" if moment is None else f"{from_micros(moment):%Y-%m-%d %H:%M}" for moment in moments),
    ]
