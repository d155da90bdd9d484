"""The OpenAPI 3.1 document of the REST API, generated from the table of routes and the types that it names.

The docstring of a handler describes its operation; that of a refusal its problem. Tags and operation ids are fields of
the route, because they are public names and must not follow the names of functions.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from aiohttp import hdrs

from consentful import wire

from ..edges.http import tags
from ..edges.http.headers import EXPORT_ID
from ..edges.http.problems import HTTP_PROBLEMS, PROBLEM, Problem, problem_document, problem_of
from ..edges.http.route import Answer, Route
from ..edges.websocket import admission
from ..errors import BadRequest, Forbidden, KeyInUse, Overloaded, Refusal, TooOften, Unauthenticated, WrongMediaType
from ..exports.formats import MEDIA
from .examples import EXAMPLES, refusal_of
from .schemas import Auth, Json, Schemas, plain

Problems: TypeAlias = Mapping[int, Mapping[str, tuple[str, Problem]]]
"""By status and code: the meaning, and an example."""

_DESCRIPTION: Final = """\
Read, export and erase dialogs that were stored with consent. The live dialog is a WebSocket: see `/asyncapi.json`.

- Errors are problem documents (RFC 9457) with a stable `code` and a `detail` that says what to do next.
- Lists are `{"items": […], "next": …}`. To get the next page, send `next` as `cursor` with the same filters, or follow
  the header `Link: <…>; rel="next"`.
- An unknown or malformed parameter is a 400 that names the parameter.
- Each GET also allows HEAD (RFC 9110 §9.1), except the WebSocket upgrade.
- With `--auth none` every caller has every scope, and the `Host` header must be a loopback name (otherwise 403).
"""

_PATHS: Final[Mapping[str, Any]] = {
    "dialog_id": wire.DialogId,
    "dialogId": wire.DialogId,
    "customerId": wire.CustomerId,
    "seq": Annotated[int, msgspec.Meta(ge=1, description="the number of the message in its dialog, from 1")],
    "export_id": Annotated[str, msgspec.Meta(description="the id that the export's `Export-Id` header has")],
    "request_id": Annotated[str, msgspec.Meta(description="the `id` of the privacy request")],
    "name": Annotated[str, msgspec.Meta(description="the name of a bundled file, such as `page.css`")],
    "version": Annotated[str, msgspec.Meta(description="the version of all bundled files, as the pages name it")],
}
"""The types of path parameters."""

_HEADERS: Final = {
    EXPORT_ID: ("The export's id; `/v1/exports/{export_id}` returns its manifest", "string"),
    hdrs.ETAG: ("The annotation's `etag`, for `If-Match` (RFC 9110 §8.8.3)", "string"),
    hdrs.LINK: ('The next page (RFC 8288), if there is one: `<…>; rel="next"`', "string"),
    hdrs.LOCATION: ("The URL of the request's outcome", "string"),
    hdrs.RETRY_AFTER: ("Seconds to wait before a retry (RFC 9110 §10.2.3)", "integer"),
    hdrs.WWW_AUTHENTICATE: ("How to authenticate, or the scope that is missing (RFC 6750 §3)", "string"),
}
_BEARER: Final[Mapping[Auth, str]] = {
    "keys": "An API key from `consentful keys create`. It needs one of the scopes that the operation lists.",
    "oidc": "An access token of the identity provider. It needs one of the scopes that the operation lists.",
}
_REFUSED_WITH: Final = {
    HTTPStatus.UNAUTHORIZED: hdrs.WWW_AUTHENTICATE,
    HTTPStatus.FORBIDDEN: hdrs.WWW_AUTHENTICATE,
}
_FIRST_SENTENCE: Final = re.compile(r"(?<=[.:])\s+(?=[A-Z])|\n\n")
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def describe(routes: Sequence[Route], *, auth: Auth = "keys", base_url: str = "") -> Json:
    """Return the OpenAPI document of a server with this authentication; `none` omits tokens, scopes and 401.

    `base_url` is the URL at which clients reach the server; if empty, it is the root of the document's own host.
    """
    if auth == "none":
        routes = [_open(route) for route in routes]
    schemas = Schemas(_types(routes))
    paths: defaultdict[str, Json] = defaultdict(dict)
    named: set[str] = set()
    for route in routes:
        operation = _operation(route, schemas)
        if operation["operationId"] in named:  # the handler has a second path; operation ids must be unique
            del operation["operationId"]
        else:
            named.add(operation["operationId"])
        paths[route.path][route.method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Consentful",
            "summary": "Stores a chatbot's conversation only with the customer's consent.",
            "description": _DESCRIPTION,
            "version": version("consentful"),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url.rstrip("/") or "/", "description": "This server"}],
        "tags": _tags(routes),
        "paths": dict(paths),
        "components": {
            "schemas": schemas.components,
            **({} if auth == "none" else {"securitySchemes": {"bearer": _bearer(auth)}}),
        },
    }


def _open(route: Route) -> Route:
    """Return the route as it is with `--auth none`: without scopes."""
    return route._replace(scopes=(), refusals=tuple(kind for kind in route.refusals if kind is not Unauthenticated))


def _bearer(auth: Auth) -> Json:
    return {"type": "http", "scheme": "bearer", "description": _BEARER[auth]}


def problems_of(route: Route) -> Problems:
    """Return the route's problems: of the refusals that it declares, and of its scopes, parameters and body."""
    found: defaultdict[int, dict[str, tuple[str, Problem]]] = defaultdict(dict)
    for kind in _refusals(route):
        example = problem_of(refusal_of(kind))
        found[example.status][example.code] = (inspect.cleandoc(kind.__doc__ or ""), example)
    if route.body:
        for status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
            code, detail = HTTP_PROBLEMS[status]
            found[status][code] = (f"{detail[0].upper()}{detail[1:]}.", problem_document(status, code, detail))
    return found


def _refusals(route: Route) -> Iterator[type[Refusal]]:
    if route.scopes:
        yield Unauthenticated
        yield Forbidden
    if (
        route.query is not None
        or route.body
        or route.headers
        or not set(_PARAMETER.findall(route.path)).isdisjoint(_PATHS)
    ):
        yield BadRequest
    if route.body:
        yield WrongMediaType
        yield Overloaded
    yield from route.refusals


def _types(routes: Iterable[Route]) -> Iterator[Any]:
    yield Problem
    for route in routes:
        for content in (route.body, *(answer.content for answer in route.answers)):
            yield from (kind for kind in content.values() if kind not in (str, bytes))


def _tags(routes: Iterable[Route]) -> list[Json]:
    present = {route.tag for route in routes}
    return [{"name": tag.name, "description": tag.description} for tag in tags.ALL if tag in present]


def _operation(route: Route, schemas: Schemas) -> Json:
    text = inspect.cleandoc(route.handler.__doc__ or "")
    operation: Json = {
        "operationId": route.operation,
        "tags": [route.tag.name],
        "summary": _FIRST_SENTENCE.split(text, maxsplit=1)[0].rstrip(".:"),
        "description": text + _needs(route),
    }
    if parameters := list(_parameters(route)):
        operation["parameters"] = parameters
    if route.body:
        operation["requestBody"] = {"required": True, "content": _without_nulls(_content(route.body, schemas))}
    operation["responses"] = _responses(route, schemas)
    if scopes := scopes_of(route):
        operation["security"] = [{"bearer": [scope]} for scope in scopes]
    return operation


def _needs(route: Route) -> str:
    scopes = " or ".join(f"`{scope}`" for scope in scopes_of(route))
    return f"\n\nRequired scope: {scopes}." if scopes else ""


def scopes_of(route: Route) -> tuple[str, ...]:
    """Return the scopes of which a caller needs one. The route of the live dialog checks its scope itself."""
    return route.scopes or ((admission.SCOPE,) if Unauthenticated in route.refusals else ())


def _parameters(route: Route) -> Iterator[Json]:
    for name in _PARAMETER.findall(route.path):
        yield _parameter(name, "path", _inline(_PATHS[name]), required=True)
    if route.query is not None:
        properties = next(iter(msgspec.json.schema_components([route.query])[1].values()))["properties"]
        for name, schema in properties.items():
            yield _parameter(name, "query", _without_null(schema))
    for name, kind in route.headers.items():
        yield _parameter(name, "header", _inline(kind))


def _inline(kind: Any) -> Json:
    return msgspec.json.schema(kind)


def _parameter(name: str, place: str, schema: Json, *, required: bool = False) -> Json:
    description = schema.pop("description", None)
    shown = {"name": str(name), "in": place, "required": required, "schema": schema}
    return shown | ({"description": description} if description else {})


def _without_null(schema: Json) -> Json:
    """Return the schema without null: a URL cannot express null, so the parameter is omitted instead."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return dict(schema)
    kept = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return choices[0] | kept


def _content(content: Mapping[str, Any], schemas: Schemas) -> Json:
    return {media: _medium(media, kind, schemas) for media, kind in content.items()}


def _without_nulls(content: Json) -> Json:
    """Return a request's content with examples that omit the optional fields without a value."""
    for medium in content.values():
        if isinstance(medium.get("example"), dict):
            medium["example"] = {name: value for name, value in medium["example"].items() if value is not None}
    return content


def _medium(media: str, kind: Any, schemas: Schemas) -> Json:
    if kind is bytes:
        return {}
    if kind is str:
        return {"schema": {"type": "string"}}
    if media == MEDIA["ndjson"]:  # OpenAPI 3.1 cannot describe a sequence of JSON documents; 3.2 can
        line = msgspec.json.encode(EXAMPLES[kind]).decode() + "\n"
        text = f"One {kind.__name__} as JSON on each line"
        return {"schema": {"type": "string", "description": text}, "example": line}
    shown: Json = {"schema": schemas.of(kind)}
    return shown | ({"example": plain(EXAMPLES[kind])} if kind in EXAMPLES else {})


def _responses(route: Route, schemas: Schemas) -> Json:
    """Return every response by its status. `default` stands for errors outside the route's handler."""
    responses: Json = {}
    for answer in route.answers:
        _add(responses, answer, schemas)
    for status, problems in sorted(problems_of(route).items()):
        _add_problems(responses.setdefault(str(status), {"description": ""}), status, problems)
    responses["default"] = {
        "description": "Any other error, before the route or in it, such as `method_not_allowed` or `internal`",
        "content": {PROBLEM: {"schema": schemas.of(Problem)}},
    }
    return responses


def _add(responses: Json, answer: Answer, schemas: Schemas) -> None:
    """Add a response. A second one with the same status and media type becomes an alternative (`anyOf`)."""
    response = responses.setdefault(str(answer.status), {"description": HTTPStatus(answer.status).phrase})
    if answer.headers:
        response["headers"] = _headers(answer.headers)
    for media, medium in _content(answer.content, schemas).items():
        earlier: Json | None = response.setdefault("content", {}).get(media)
        if earlier is None:
            response["content"][media] = medium
        else:
            choices: list[Json] = earlier["schema"].get("anyOf", [earlier["schema"]])
            earlier["schema"] = {"anyOf": [*choices, medium["schema"]]}


def _add_problems(response: Json, status: int, problems: Mapping[str, tuple[str, Problem]]) -> None:
    lines = [f"`{code}`: {meaning}" for code, (meaning, _) in problems.items()]
    response["description"] = "\n\n".join(([response["description"]] if response["description"] else []) + lines)
    exactly = {"status": {"const": status}, "code": {"enum": sorted(problems)}}
    response.setdefault("content", {})[PROBLEM] = {
        "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": exactly}]},
        "examples": {
            code: {"summary": meaning, "value": plain(example)} for code, (meaning, example) in problems.items()
        },
    }
    if not {Overloaded.code, TooOften.code, KeyInUse.code}.isdisjoint(problems):
        response["headers"] = _headers([hdrs.RETRY_AFTER])
    if status in _REFUSED_WITH:
        response["headers"] = _headers([_REFUSED_WITH[HTTPStatus(status)]])


def _headers(names: Iterable[str]) -> Json:
    return {str(name): {"description": _HEADERS[name][0], "schema": {"type": _HEADERS[name][1]}} for name in names}
