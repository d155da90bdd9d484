"""What the commands share: parameters for the data's location and the service's URL, and the consoles."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeAlias, TypeVar

from cyclopts import Parameter
from rich.console import Console

from ..service import Service, open_service
from ..settings import Place, Settings

T = TypeVar("T")

OUT: Final = Console()
ERR: Final = Console(stderr=True)

Where: TypeAlias = Annotated[Place, Parameter(name="*")]
Url: TypeAlias = Annotated[str, Parameter(help="The service's URL.")]
Token: TypeAlias = Annotated[str | None, Parameter(help="An API key; not needed with `--auth none`.")]


def with_service(place: Place, work: Callable[[Service], Awaitable[T]]) -> T:
    """Open the service on this data, run the work and return its result. A server may run on the same data."""

    async def within() -> T:
        settings = place if isinstance(place, Settings) else Settings(**dataclasses.asdict(place))
        async with open_service(settings) as service:
            return await work(service)

    return asyncio.run(within())
