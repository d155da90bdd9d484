"""The OpenAPI document: valid, complete, nothing invented, and its examples are values of our own types."""

import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from consentful_server.app import ROUTES
from consentful_server.auth.access import SCOPES
from consentful_server.documents import asyncapi, meanings, openapi
from consentful_server.documents.examples import EXAMPLES, refusal_of
from consentful_server.documents.schemas import Auth, plain
from consentful_server.edges.http import faults
from consentful_server.edges.http.problems import PROBLEM, Problem
from consentful_server.edges.http.route import Route
from consentful_server.edges.websocket.admission import SCOPE
from consentful_server.errors import Refusal
from consentful_server.testing import serve
from kept import get

DOCUMENT = openapi.describe(ROUTES)
GUARDED = [route for route in ROUTES if route.scopes]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


each_route = pytest.mark.parametrize("route", ROUTES, ids=named)


def operation(route: Route) -> dict[str, Any]:
    return DOCUMENT["paths"][route.path][route.method.lower()]


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


@pytest.mark.parametrize("auth", ["none", "keys"])
async def test_it_is_what_the_service_publishes(auth: Auth) -> None:
    import aiohttp

    document = openapi.describe(ROUTES, auth=auth)
    async with serve(auth=auth) as service, aiohttp.ClientSession(service.url) as http:
        assert await get(http, "/openapi.json") == msgspec.json.decode(msgspec.json.encode(document))


def test_a_server_that_asks_for_no_token_says_so() -> None:
    open_door = openapi.describe(ROUTES, auth="none")
    operations = [operation for methods in open_door["paths"].values() for operation in methods.values()]

    assert [error.message for error in OpenAPIV31SpecValidator(open_door).iter_errors()] == []
    assert "securitySchemes" not in open_door["components"]
    assert not any("security" in operation or "401" in operation["responses"] for operation in operations)
    assert not any("Scope:" in operation["description"] for operation in operations)
    refused = {operation["operationId"] for operation in operations if "403" in operation["responses"]}
    assert refused == {"upgrade_live"}  # to a page of another origin, whatever the token


@pytest.mark.parametrize(("auth", "token"), [("keys", "API key"), ("oidc", "identity provider")])
def test_the_kind_of_token_is_told(auth: Auth, token: str) -> None:
    document = openapi.describe(ROUTES, auth=auth)

    assert token in document["components"]["securitySchemes"]["bearer"]["description"]
    assert document["paths"] == DOCUMENT["paths"]


def test_every_route_is_there_and_no_other() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert described == {(route.method, route.path) for route in ROUTES}


@each_route
def test_every_route_tells_what_it_answers_and_is_described(route: Route) -> None:
    described = operation(route)

    assert route.answers, "declare the route's answers where it is declared"
    assert described["summary"]
    assert {str(answer.status) for answer in route.answers} <= set(described["responses"])
    assert [tag["name"] for tag in DOCUMENT["tags"] if tag["name"] in described["tags"]]


@each_route
def test_every_parameter_is_there_and_no_other(route: Route) -> None:
    described = {(each["in"], each["name"]) for each in operation(route).get("parameters", ())}
    expected = {("path", name) for name in re.findall(r"\{(\w+)\}", route.path)}
    if route.query is not None:
        expected |= {("query", name) for name in route.query.__struct_encode_fields__}

    assert described == expected | {("header", name) for name in route.headers}


@each_route
def test_every_body_is_there_in_every_media_type(route: Route) -> None:
    described = operation(route).get("requestBody", {"content": {}})

    assert set(described["content"]) == set(route.body)


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_a_guarded_route_names_its_scopes_and_how_it_refuses(route: Route) -> None:
    described = operation(route)

    assert [scope for each in described["security"] for scope in each["bearer"]] == list(route.scopes)
    assert {"401", "403"} <= set(described["responses"])


def test_the_live_route_names_the_scope_that_it_looks_at_itself() -> None:
    assert DOCUMENT["paths"]["/v1/dialogs/live"]["get"]["security"] == [{"bearer": [SCOPE]}]
    assert SCOPE in SCOPES


@each_route
def test_every_refusal_is_there_under_its_status_with_an_example(route: Route) -> None:
    responses = operation(route)["responses"]
    for kind in route.refusals:
        content = responses[str(int(faults.FAULTS[kind.code].status))]["content"][PROBLEM]
        example = msgspec.convert(content["examples"][kind.code]["value"], Problem)
        assert (example.code, example.detail) == (kind.code, str(refusal_of(kind)))
        assert kind.code in content["schema"]["allOf"][1]["properties"]["code"]["enum"]


@each_route
def test_whatever_takes_a_cursor_says_that_a_restore_ends_it(route: Route) -> None:
    if route.query is not None and "cursor" in route.query.__struct_encode_fields__:
        assert "restored" in operation(route)["responses"]["410"]["content"][PROBLEM]["examples"]


def test_what_tells_when_to_come_back_is_named() -> None:
    overloaded = DOCUMENT["paths"]["/data/{customerId}/{dialogId}"]["post"]["responses"]["503"]

    assert "Retry-After" in overloaded["headers"]


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = [
        each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values() if "operationId" in each
    ]

    assert len(set(ids)) == len(ids) == len({route.handler for route in ROUTES})


def test_every_operation_is_in_a_tag_that_is_explained() -> None:
    explained = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    used = {tag for path in DOCUMENT["paths"].values() for each in path.values() for tag in each["tags"]}

    assert used == explained


@pytest.mark.parametrize("kind", EXAMPLES, ids=str)
def test_every_example_is_a_value_of_its_type(kind: Any) -> None:
    shown = plain(EXAMPLES[kind])

    assert plain(msgspec.convert(shown, kind)) == shown


def test_every_type_that_travels_has_an_example() -> None:
    contents = [content for route in ROUTES for content in (route.body, *(answer.content for answer in route.answers))]
    travelling = {kind for content in contents for kind in content.values()}

    assert travelling - {str, bytes, dict[str, Any]} <= set(EXAMPLES)


def test_examples_of_requests_are_taken_by_their_types() -> None:
    for route in ROUTES:
        for media, kind in route.body.items():
            msgspec.convert(operation(route)["requestBody"]["content"][media]["example"], kind)


def test_every_refusal_of_every_route_is_a_documented_fault() -> None:
    kinds: set[type[Refusal]] = {kind for route in ROUTES for kind in route.refusals}

    assert {kind.code for kind in kinds} <= set(faults.FAULTS)


def test_every_meaning_is_of_a_field_that_exists() -> None:
    described = (DOCUMENT, asyncapi.describe())
    schemas = [pair for document in described for pair in document["components"]["schemas"].items()]
    fields = {(name.partition("_")[0], field) for name, schema in schemas for field in schema.get("properties", {})}

    assert set(meanings.OF_TYPES) <= fields
    assert set(meanings.FIELDS) <= {field for _, field in fields}


def test_every_field_of_every_schema_says_what_it_means() -> None:
    untold = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, about in schema.get("properties", {}).items()
        if not any("description" in choice for choice in (about, *about.get("anyOf", ())))
    ]

    assert untold == [], "add them to documents/meanings.py"


@each_route
def test_every_parameter_says_what_it_means(route: Route) -> None:
    untold = [
        each["name"]
        for each in operation(route).get("parameters", ())
        if not any("description" in choice for choice in (each, each["schema"], *each["schema"].get("anyOf", ())))
    ]

    assert untold == [], "annotate the field of the query, or the path's name in documents/openapi.py"
