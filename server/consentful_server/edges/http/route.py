"""A route: its handler, its scopes, its parameters, its responses. The OpenAPI document is generated from routes."""

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
    """One response of a route: the type of its body by media type, its status, and its documented headers."""

    content: Mapping[str, Any]
    status: int = 200
    headers: tuple[str, ...] = ()


class Route(NamedTuple):
    """One route. A caller needs one of its `scopes`; a route without scopes needs no token.

    `head` False: a GET that does not allow HEAD (RFC 9110 §9.1), such as an upgrade. The other fields describe the
    route in the OpenAPI document. `refusals` omits those that follow from scopes, parameters and bodies.
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
