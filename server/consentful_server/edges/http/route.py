"""A route: its scopes, what it takes and what it gives. The OpenAPI document is made of routes."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from aiohttp import web

from ...auth.access import Scope
from ...errors import Refusal
from .tags import Tag

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Answer(NamedTuple):
    """One answer of a route: the type of its body by media type, its status, and the headers that tell something."""

    content: Mapping[str, Any]
    status: int = 200
    headers: tuple[str, ...] = ()


class Route(NamedTuple):
    """One route, the scopes of which a caller needs one, and what it takes and gives. Without scopes anyone may come.

    What can be got can be asked for with HEAD as well (RFC 9110 §9.1), but for an upgrade. The rest is what the
    OpenAPI document is made of: what scopes, parameters and bodies refuse by themselves is not repeated in `refusals`.
    """

    method: str
    path: str
    handler: Handler
    tag: Tag
    operation: str
    scopes: tuple[Scope, ...] = ()
    head: bool = True
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, Any] = _NOTHING
    body: Mapping[str, Any] = _NOTHING
    answers: tuple[Answer, ...] = ()
    refusals: tuple[type[Refusal], ...] = ()
