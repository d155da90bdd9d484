"""What the commands share: parameters for the data's location and the service's URL, and the consoles."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeAlias, TypeVar

from cyclopts import Parameter
from rich.console import Console

from ..errors import BadSetting
from ..keys.decommissioned import refuse_decommissioned
from ..service import Service, open_service
from ..settings import Place, Settings
from ..stores.open import backend_of
from ..stores.steps import refuse_pending
from ..stores.store import Backend

T = TypeVar("T")

OUT: Final = Console()
ERR: Final = Console(stderr=True)

Where: TypeAlias = Annotated[Place, Parameter(name="*")]
Url: TypeAlias = Annotated[str, Parameter(help="The service's URL.")]
Token: TypeAlias = Annotated[str | None, Parameter(help="An API key; not needed with `--auth none`.")]


def with_service(place: Place, work: Callable[[Service], Awaitable[T]]) -> T:
    """Open the service on this data, run the work and return its result. A server may run on the same data.

    Raises:
        BadSetting: If there is no database. A command that created one would succeed on nothing.
        BadDatabase: If its schema is an earlier release's, which may be serving from it.
    """
    backend = existing(place)
    refuse_pending(backend.pending(), backend.name)

    async def within() -> T:
        settings = place if isinstance(place, Settings) else Settings(**dataclasses.asdict(place))
        async with open_service(settings) as service:
            return await work(service)

    return asyncio.run(within())


def existing(place: Place) -> Backend:
    """Return the backend of a database that exists.

    Raises:
        BadSetting: If there is no database at this place. Nothing was created.
        BadKeys: If the deployment was decommissioned.
    """
    refuse_decommissioned(place.keys_dir)
    backend = backend_of(place.database, place.data_dir)
    if not backend.exists():
        raise BadSetting(
            "database" if place.database else "data_dir",
            f"there is no database at {backend.name}; name its place with --data-dir or --database,"
            " or create one with `consentful serve` or `consentful migrate`",
        )
    return backend
