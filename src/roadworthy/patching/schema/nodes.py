"""Walk and change the nodes of Pydantic's core schemas.

Annotations carry metadata of other libraries and names that are not resolved; the
core schema is what validation and serialization go by.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

__all__ = [
    "Schema",
    "any_node",
    "children",
    "function_of",
    "is_foreign",
    "mapped",
    "per_class",
    "plain_types",
    "with_definitions",
    "wrap",
]

Schema: TypeAlias = dict[str, Any]
"""A node of a core schema of Pydantic."""
T = TypeVar("T")
Change: TypeAlias = Callable[[Schema], Schema]

_INSIDE: Final = frozenset(
    {"schema", "items_schema", "keys_schema", "values_schema", "json_schema", "python_schema"}
    | {"lax_schema", "strict_schema", "extras_schema", "choices", "fields", "steps", "definitions"}
    | {"arguments_schema", "var_args_schema", "var_kwargs_schema"}
)
"""The members of a node that hold other nodes which take part in validation."""

_LIBRARY: Final = frozenset({"pydantic", "pydantic_core", *sys.stdlib_module_names}) - {"__main__"}


def per_class(make: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Return a function with its results cached by class."""
    made: dict[type[Any], T] = {}

    @functools.wraps(make)
    def kept(kind: type[Any]) -> T:
        if kind not in made:
            made[kind] = make(kind)
        return made[kind]

    return kept


def mapped(node: Schema, change: Change) -> Schema:
    """Return a copy of a node in which `change` has replaced each child node."""
    return {key: _mapped(child, change) if key in _INSIDE else child for key, child in node.items()}


def _mapped(child: Any, change: Change) -> Any:
    match child:
        case {"type": str()} | {"name": str(), "schema": dict()}:
            return change(child)
        case dict():
            return {k: _mapped(v, change) for k, v in cast("dict[Any, Any]", child).items()}
        case list():
            return [_mapped(item, change) for item in cast("list[Any]", child)]
        case (dict(), label):  # of a union, with the name that errors give it
            return (change(cast("tuple[Schema, Any]", child)[0]), label)
        case _:
            return child


def children(node: Schema) -> Iterator[Schema]:
    """Yield the child nodes of a node."""
    found: list[Schema] = []

    def keep(child: Schema) -> Schema:
        found.append(child)
        return child

    mapped(node, keep)
    yield from found


def any_node(node: Schema, holds: Callable[[Schema], bool]) -> bool:
    """Return whether a condition holds for a node or any node inside it."""
    return holds(node) or any(any_node(child, holds) for child in children(node))


_PLAIN: Final[Mapping[str, type[Any]]] = {"int": int, "str": str, "bool": bool, "float": float}


def plain_types(node: Schema) -> frozenset[Any]:
    """Return the JSON types whose values a node takes without change."""
    if node["type"] == "nullable":
        return plain_types(node["schema"]) | {type(None)}
    return frozenset({_PLAIN[node["type"]]} if node["type"] in _PLAIN else ())


def function_of(node: Schema) -> Any:
    """Return the function that a validator node calls."""
    return cast("Mapping[str, Any]", node["function"])["function"]


def is_foreign(function: Any) -> bool:
    """Return whether a function is the user's: neither Pydantic's nor Python's."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    owner = getattr(function, "__module__", None)
    if owner is None:
        owner = getattr(getattr(function, "__self__", None), "__module__", None) or "builtins"
    return cast("str", owner).partition(".")[0] not in _LIBRARY


def with_definitions(node: Schema, definitions: list[Schema]) -> Schema:
    """Return a node with the definitions it refers to, so that it can be built alone."""
    if not definitions:
        return node
    return {"type": "definitions", "schema": node, "definitions": definitions}


def wrap(function: Callable[..., Any], node: Schema, *, info: bool = False) -> Schema:
    """Return a node that calls `function(value, handler)` around another node."""
    kind = "with-info" if info else "no-info"
    return {
        "type": "function-wrap",
        "function": {"type": kind, "function": function},
        "schema": node,
    }
