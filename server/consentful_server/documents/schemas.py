"""JSON Schemas (2020-12) of the types, with unindented descriptions, plain names and an example each."""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from .examples import EXAMPLES
from .meanings import with_meanings

Json: TypeAlias = dict[str, Any]

Auth: TypeAlias = Literal["none", "keys", "oidc"]
"""How the server authenticates callers, as in `--auth`."""

_FOLDER: Final = "#/components/schemas/"
_GENERIC: Final = re.compile(r"_$")


class Schemas:
    """The schemas of the types that a document names."""

    def __init__(self, types: Iterable[Any]) -> None:
        named = list(dict.fromkeys(types))
        references, components = msgspec.json.schema_components(named, ref_template=_FOLDER + "{name}")
        self._of = {kind: _tidy(reference) for kind, reference in zip(named, references, strict=True)}
        named_schemas = {_GENERIC.sub("", name): _tidy(schema) for name, schema in components.items()}
        self.components: Json = {name: with_meanings(name, schema) for name, schema in named_schemas.items()}
        for kind, example in EXAMPLES.items():
            if "$ref" in self._of.get(kind, ()):
                self.component(kind)["examples"] = [plain(example)]

    def of(self, kind: Any) -> Json:
        """Return the type's schema, or a reference to it."""
        return self._of[kind]

    def component(self, kind: Any) -> Json:
        """Return the schema that the type's reference leads to."""
        return self.components[self.of(kind)["$ref"].removeprefix(_FOLDER)]


def plain(value: Any) -> Any:
    """Return a value as the built-in types that JSON has."""
    return msgspec.to_builtins(value)


def _tidy(node: Any) -> Any:
    """Return the schema with unindented docstrings, and without the trailing underscore in names of generic types."""
    if isinstance(node, list):
        return [_tidy(each) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    tidied: Json = {key: _tidy(value) for key, value in cast("Json", node).items()}
    if isinstance(tidied.get("description"), str):
        tidied["description"] = inspect.cleandoc(tidied["description"])
    if isinstance(tidied.get("$ref"), str):
        tidied["$ref"] = _GENERIC.sub("", tidied["$ref"])
    return tidied
