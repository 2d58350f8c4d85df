"""Which names the parameters and the body of a route have: what a pointer may say."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import AliasChoices, BaseModel

from roadworthy import _fastapi
from roadworthy.problems.fields import In, Names, names_of

__all__ = ["names_on"]

# Making the schema of a body is slow, and only errors need it: once a route, then.
_known: WeakKeyDictionary[Any, Mapping[In, Names]] = WeakKeyDictionary()


def names_on(route: Any) -> Mapping[In, Names]:
    """Return the names by where they stand; nothing where the route is not FastAPI's."""
    if not _fastapi.is_api_route(route):
        return {}
    endpoint = route.endpoint
    if endpoint not in _known:
        _known[endpoint] = _collect(route)
    return _known[endpoint]


def _collect(route: Any) -> Mapping[In, Names]:
    names: dict[In, Names] = {}
    for where, field in _fastapi.parameters_of(route):
        known = names.get(where, Names(frozenset()))
        names[where] = Names(known.fields | _spellings(field), known.labels)
    if route.body_field is not None:
        names["body"] = names_of(route.body_field.field_info.annotation)
    return names


def _spellings(field: Any) -> frozenset[str]:
    annotation = field.field_info.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        spelled = names_of(annotation).fields  # a model of several parameters
    else:
        spelled = frozenset({field.name, field.alias, *_aliases(field.field_info)})
    # A header is written with hyphens where its parameter has underscores.
    return spelled | {name.replace("_", "-") for name in spelled}


def _aliases(info: Any) -> list[str]:
    alias = info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice for choice in choices if isinstance(choice, str)]
