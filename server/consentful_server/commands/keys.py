"""`consentful keys`: create, list and revoke API keys."""

from datetime import timedelta
from typing import Any

from cyclopts import App

from ..access_log.chain import OPERATOR
from ..auth.access import Scope
from ..auth.store import Credential
from ..clock import SystemClock, to_micros
from ..errors import BadSetting
from ..settings import Place
from . import ERR, OUT, Where, with_service
from .listing import AsJson, moment, show, show_json

_COLUMNS = ("id", "name", "scopes", "purposes", "created", "expires", "revoked", "last_used")

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
def list_keys(*, json: AsJson = False, place: Where = Place()) -> int:
    """List all API keys, including revoked ones."""
    rows = [_row(credential) for credential in with_service(place, lambda service: service.store.credentials.all())]
    if json:
        show_json(rows)
        return 0
    # For people: a key without purposes reads every purpose, which an empty cell would not say.
    show(OUT, _COLUMNS, [row | {"purposes": "all" if row["purposes"] is None else row["purposes"]} for row in rows])
    return 0


@keys.command
def revoke(key_id: str, *, place: Where = Place()) -> int:
    """Revoke an API key by its id. A running server refuses it within five seconds."""
    if with_service(place, lambda service: service.api_keys.revoke(key_id, by=OPERATOR)):
        return 0
    ERR.print(f"Key {key_id} not found; `consentful keys list` shows all keys.", markup=False)
    return 1


def _row(credential: Credential) -> dict[str, Any]:
    return {
        "id": credential.id,
        "name": credential.name,
        "scopes": credential.scopes,
        "purposes": credential.purposes,
        "created": moment(credential.created_at),
        "expires": moment(credential.expires_at),
        "revoked": moment(credential.revoked_at),
        "last_used": moment(credential.last_used_at),
    }
