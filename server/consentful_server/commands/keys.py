"""`consentful keys`: API keys are made, listed and revoked."""

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

keys = App(name="keys", help="API keys: make, list and revoke them. The database holds only their hashes.")


@keys.command
def create(
    *,
    name: str,
    scope: list[Scope],
    purpose: list[str] | None = None,
    days: int | None = None,
    place: Where = Place(),
) -> int:
    """Make a key and print it, alone and only now.

    Args:
        name: Who uses it. Dialogs belong to the name, so a new key of the same name takes over from an old one.
        scope: What it may do.
        purpose: Read only dialogs whose consent covers one of these; all if left out.
        days: After how many days it ends; never if left out.
    """
    if days is not None and days < 1:
        raise BadSetting("days", "a whole number above 0")
    end = None if days is None else to_micros(SystemClock().now() + timedelta(days=days))
    print(with_service(place, lambda service: service.api_keys.create(name, scope, purpose, end, by=OPERATOR)))  # noqa: T201
    return 0


@keys.command(name="list")
def list_keys(place: Where = Place()) -> int:
    """List every key, revoked ones as well."""
    table = Table("id", "name", "scopes", "purposes", "made", "ends", "revoked", "last used")
    for credential in with_service(place, lambda service: service.store.credentials.all()):
        table.add_row(*_row(credential))
    OUT.print(table)
    return 0


@keys.command
def revoke(key_id: str, *, place: Where = Place()) -> int:
    """Revoke a key by its id; a running server stops taking it within five seconds."""
    if with_service(place, lambda service: service.api_keys.revoke(key_id, by=OPERATOR)):
        return 0
    ERR.print(f"There is no key {key_id}; `consentful keys list` shows them.", markup=False)
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
