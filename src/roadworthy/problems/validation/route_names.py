"""The names of a route's parameters and body, which pointers may contain."""

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from roadworthy import _fastapi
from roadworthy.problems.validation.field_errors import In, Names, names_in

__all__ = ["names_on"]

# Collecting the names of a body is slow, and only errors need them: once for each route.
_known: WeakKeyDictionary[Any, Mapping[In, Names]] = WeakKeyDictionary()


def names_on(route: Any) -> Mapping[In, Names]:
    """Return the names by their place; none if the route is not FastAPI's."""
    if not _fastapi.is_api_route(route):
        return {}
    endpoint = route.endpoint
    if endpoint not in _known:
        _known[endpoint] = _collect(route)
    return _known[endpoint]


def _collect(route: Any) -> Mapping[In, Names]:
    names: dict[In, Names] = {}
    for where, spellings, schema in _fastapi.values_of(route):
        known = names.get(where, Names(frozenset()))
        names[where] = known | _names(spellings, schema)
    return names


def _names(spellings: Iterable[str], schema: Mapping[str, Any]) -> Names:
    value = {"type": "model-field", "schema": schema}
    named = {"type": "model-fields", "fields": dict.fromkeys(spellings, value)}
    names = names_in(named if named["fields"] else schema)
    # A header is written with hyphens where the field of its model has underscores.
    return names | Names(frozenset(name.replace("_", "-") for name in names.fields))
