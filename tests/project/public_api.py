"""The public API as lines of text: what chatbots, readers, operators and programs rely on, without the prose."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from cyclopts import App

import consentful
import consentful.sync
import consentful_server.testing
from consentful_server.app import ROUTES
from consentful_server.cli import app
from consentful_server.documents import asyncapi, openapi
from consentful_server.settings import Settings

_PLACES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])| at 0x[0-9a-f]+")
"""Of types and defaults: in which file they are defined, and where they lie in memory."""

_UNPACKED = re.compile(r"\*<class '(\w+)'>")
"""`Unpack[…]`, as Python 3.11 and 3.12 print it."""

_PROSE = frozenset({"description", "summary", "title", "example", "examples", "detail", "meaning", "remedy"})


def lines() -> Iterator[str]:
    """Yield every public name with what it takes and gives, a line each, spelled alike on every Python."""
    for line in _lines():
        yield _UNPACKED.sub(r"Unpack[\1]", line).replace("pathlib._local.", "pathlib.")


def _lines() -> Iterator[str]:
    yield from _rest()
    yield from _frames()
    yield from _commands("consentful", app)
    yield from _settings()
    for module in (consentful, consentful.sync, consentful_server.testing):
        yield from _exports(module)


def _rest() -> Iterator[str]:
    document = openapi.describe(ROUTES)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"rest {method.upper()} {path} {_bare(operation)}"
    for name, schema in document["components"]["schemas"].items():
        yield f"rest schema {name} {_bare(schema)}"
    yield f"rest tags {', '.join(tag['name'] for tag in document['tags'])}"


def _frames() -> Iterator[str]:
    document = asyncapi.describe()
    for name, message in document["components"]["messages"].items():
        yield f"frame {name} {_bare(message)}"
    for name, schema in document["components"]["schemas"].items():
        yield f"frame schema {name} {_bare(schema)}"
    for each in (*document["x-errors"], *document["x-close-codes"]):
        yield f"frame {_bare(each)}"


def _commands(name: str, command: App) -> Iterator[str]:
    if command.default_command is not None:
        options = (
            f"{'/'.join(argument.names)}: {_PLACES.sub('', str(argument.hint))} = {argument.field_info.default}"
            for argument in command.assemble_argument_collection()
            if argument.names != ("*",)
        )
        yield f"command {name} {'; '.join(options)}"
    for each in command:
        if not each.startswith("-"):
            yield from _commands(f"{name} {each}", command[each])


def _settings() -> Iterator[str]:
    for field in dataclasses.fields(Settings):
        yield f"setting {field.name}: {field.type} = {field.default}"


def _exports(module: Any) -> Iterator[str]:
    for name in sorted(getattr(module, "__all__", None) or _own(module)):
        value = getattr(module, name)
        if not inspect.ismodule(value):
            yield f"python {module.__name__}.{name}{_signature(value)}"
        if inspect.isclass(value):
            for member, found in sorted(vars(value).items()):
                if not member.startswith("_"):
                    yield f"python {module.__name__}.{name}.{member}{_signature(found)}"


def _own(module: Any) -> list[str]:
    found = cast("dict[str, Any]", vars(module))
    return [
        name
        for name, value in found.items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__ and callable(value)
    ]


def _signature(value: Any) -> str:
    """Return what it takes and gives; in which file a type lives is nobody's business."""
    try:
        return _PLACES.sub("", str(inspect.signature(value))) if callable(value) else ""
    except (TypeError, ValueError):
        return "(…)"


def _bare(node: Any) -> str:
    return msgspec.json.encode(_without_prose(node), order="sorted").decode()


def _without_prose(node: Any) -> Any:
    """Return the node without sentences. A property may be called as prose is: what holds properties is kept whole."""
    if isinstance(node, list):
        return [_without_prose(each) for each in cast("list[Any]", node)]
    if not isinstance(node, Mapping):
        return node
    found = cast("Mapping[str, Any]", node)
    return {key: _shape(key, value) for key, value in found.items() if key not in _PROSE or isinstance(value, bool)}


def _shape(key: str, value: Any) -> Any:
    if key == "properties" and isinstance(value, Mapping):
        return {name: _without_prose(each) for name, each in cast("Mapping[str, Any]", value).items()}
    return _without_prose(value)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in sorted(lines()))
