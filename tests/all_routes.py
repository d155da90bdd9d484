"""Every route, for tests that walk all of them."""

import re
from collections.abc import Iterator

from consentful_server.app import ROUTES

_METHODS_OF_NONE = ("HEAD", "OPTIONS", "PATCH")


def filled(path: str, value: str) -> str:
    """Return the route's path with the value in each of its place-holders."""
    return re.sub(r"\{\w+\}", value, path)


def every_route(value: str) -> Iterator[tuple[str, str]]:
    """Yield the method and a path of each route."""
    for route in ROUTES:
        yield route.method, filled(route.path, value)


def every_request(value: str) -> Iterator[tuple[str, str]]:
    """Yield each route, each with methods that it may not have, and what is no route at all."""
    for method, path in every_route(value):
        yield method, path
        for other in _METHODS_OF_NONE:
            yield other, path
    yield "GET", f"/nowhere/{value}"
    yield "GET", "/static/page.css"
    yield "GET", "/static/0/page.css"
    yield "GET", "/v1/messages?format=ndjson"
    yield "GET", f"/v1/messages?limit={value}"
