"""`Shape`: follow an error through the schema that refused the value.

A location of Pydantic has parts of two kinds: members and items of the input, and labels, which
name the alternative of a union that refused it. Only the schema tells them apart: a part at a
union is a label, a part at a model is a member.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic_core import SchemaValidator, core_schema

__all__ = ["Part", "Shape", "Step"]

Part: TypeAlias = str | int
"""A name or an index in a location."""

CoreSchema: TypeAlias = Mapping[str, Any]
PartKind: TypeAlias = Literal["field", "index", "label", "key", "unknown", "lost"]

_KEY: Final = "[key]"
"""Pydantic's label after a key of a dict when the key is wrong, not its value."""

_ORDER: Final[tuple[PartKind, ...]] = ("field", "index", "label", "key", "unknown")
"""The order in which a part that could be several things is taken for one of them."""

_WRAPPED: Final = (
    *("schema", "arguments_schema", "lax_schema", "strict_schema", "json_schema"),
    *("python_schema", "steps"),
)
"""The members of a schema whose schemas read the same value."""

_SEVERAL: Final = 2
"""The least alternatives of a union: of one, Pydantic makes no union."""

_POSITIONAL: Final = frozenset({"dataclass-args", "named-tuple", "arguments", "arguments-v3"})
_OBJECTS: Final = _POSITIONAL | {"model-fields", "typed-dict"}
"""Schemas with fields."""

_OPEN: Final = frozenset({"any", "custom", "function-plain", "function-wrap", "function-before"})
"""Schemas that may read the value with others, which are not visible."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a location and its kind.

    The kind is a `field` of the schema, an `index`, a `label` of Pydantic, a `key` of a dict, a
    name that is `unknown` to its model, or `lost` if the schema does not tell.
    """

    part: Part
    kind: PartKind
    fields: tuple[str, ...] = ()
    """The fields of the model, if the name is unknown to it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What a part may be here, and which schemas read what it leads to."""

    kind: PartKind
    leads_to: tuple[CoreSchema, ...] = ()
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Shape:
    """The schemas that may have read a value."""

    schemas: tuple[CoreSchema, ...] = ()
    _definitions: dict[str, CoreSchema] = field(default_factory=dict[str, CoreSchema])
    _labels: dict[int, str | None] = field(default_factory=dict[int, str | None])

    def walk(self, location: Iterable[Part], *, within: Iterable[Part] = ()) -> Iterator[Step]:
        """Tell of each part of a location what it is.

        `within` is the way to the value that was read, through the document: there are no
        labels in it.
        """
        schemas: Sequence[CoreSchema] = self.schemas
        for part in within:
            nodes = self._unwrapped(schemas, set(), deep=True)
            step, schemas = self._step([n for n in nodes if len(_choices(n)) < _SEVERAL], part)
            yield step
        if within:
            schemas = list(self._unwrapped(schemas, set(), deep=True))
        for part in location:
            step, schemas = self._step(list(self._unwrapped(schemas, set())), part)
            yield step

    def _step(self, nodes: Sequence[CoreSchema], part: Part) -> tuple[Step, Sequence[CoreSchema]]:
        places = [place for node in nodes for place in self._places(node, part)]
        lost: PartKind = "index" if isinstance(part, int) else "lost"
        found = {place.kind for place in places}
        ordered: list[PartKind] = [known for known in _ORDER if known in found]
        kind: PartKind = ordered[0] if ordered else lost
        chosen = [place for place in places if place.kind == kind]
        known = tuple(name for place in chosen for name in place.fields)
        return Step(part, kind, known), [s for place in chosen for s in place.leads_to]

    def names(self) -> frozenset[str]:
        """Return the names of all fields, at any depth."""
        return frozenset(self._names(self.schemas, set()))

    def _unwrapped(
        self, schemas: Iterable[CoreSchema], seen: set[int], *, deep: bool = False
    ) -> Iterator[CoreSchema]:
        """Yield the schemas inside of wrappers, and with `deep` all of a union."""
        for schema in schemas:
            if id(schema) in seen:
                continue
            seen.add(id(schema))
            yield schema
            yield from self._unwrapped(self._inner(schema, deep=deep), seen, deep=deep)

    def _inner(self, schema: CoreSchema, *, deep: bool) -> Iterator[CoreSchema]:
        self._define(schema)
        if reference := schema.get("schema_ref"):
            yield from filter(None, [self._definitions.get(reference)])
        for name in _WRAPPED:
            yield from _schemas(schema.get(name))
        choices = _choices(schema)
        if deep or len(choices) < _SEVERAL:
            yield from (choice for choice, _ in choices)

    def _define(self, schema: CoreSchema) -> None:
        for definition in _schemas(schema.get("definitions")):
            self._definitions[definition["ref"]] = definition
        if "ref" in schema:
            self._definitions.setdefault(schema["ref"], schema)

    def _places(self, schema: CoreSchema, part: Part) -> Iterator[_Place]:
        if len(choices := _choices(schema)) >= _SEVERAL:
            yield _Place("label", self._chosen(schema, choices, part))
        elif schema["type"] == "alias":
            yield from _on_the_way(schema, part)
        elif schema["type"] in _OBJECTS:
            yield from _member(schema, part)
        elif "values_schema" in schema or schema["type"] == "dict":
            values = ({"type": "alias", "rest": [_KEY], "schema": {"type": "none"}},)
            yield _Place("key", (*_schemas(schema.get("values_schema")), *values))
        elif "items_schema" in schema and isinstance(part, int):
            yield _Place("index", tuple(_schemas(schema["items_schema"])))
        elif schema["type"] in _OPEN:
            yield _Place("index" if isinstance(part, int) else "unknown", ({"type": "any"},))

    def _chosen(
        self, schema: CoreSchema, choices: Sequence[tuple[CoreSchema, Any]], part: Part
    ) -> tuple[CoreSchema, ...]:
        fitting = [
            choice
            for choice, label in choices
            if str(part) == (self._label(choice) if label is None else label)
        ]
        return tuple(fitting or [choice for choice, _ in choices])

    def _label(self, choice: CoreSchema) -> str | None:
        """Return what Pydantic calls a choice that nobody has named."""
        if id(choice) not in self._labels:
            self._labels[id(choice)] = _title(choice, self._definitions)
        return self._labels[id(choice)]

    def _names(self, schemas: Iterable[CoreSchema], seen: set[int]) -> Iterator[str]:
        for schema in self._unwrapped(schemas, seen):
            for name, inner in _fields(schema):
                yield from _spellings(name, inner)
                yield from self._names([inner], seen)
            below = [schema.get("items_schema"), schema.get("values_schema")]
            below += [schema.get("extras_schema"), [choice for choice, _ in _choices(schema)]]
            for held in below:
                yield from self._names(_schemas(held), seen)


def _on_the_way(schema: CoreSchema, part: Part) -> Iterator[_Place]:
    first, *rest = schema["rest"]
    if part == first:
        kind: PartKind = "label" if part == _KEY else "index" if isinstance(part, int) else "field"
        yield _Place(kind, (_along(rest, schema["schema"]),))


def _member(schema: CoreSchema, part: Part) -> Iterator[_Place]:
    """Find a part among the fields: by name, or by an alias and the way on from there."""
    fields = list(_fields(schema))
    if isinstance(part, int):
        if schema["type"] in _POSITIONAL and part < len(fields):
            yield _Place("index", (fields[part][1],))
        return
    ways = [(way, inner) for name, inner in fields for way in _ways(name, inner)]
    leads_to = tuple(_along(way[1:], inner) for way, inner in ways if way[0] == part)
    if leads_to:
        yield _Place("field", leads_to)
    else:
        known = tuple(_spelling(name, inner) for name, inner in fields)
        yield _Place("unknown", tuple(_schemas(schema.get("extras_schema"))), known)


def _along(rest: Sequence[Part], schema: CoreSchema) -> CoreSchema:
    return {"type": "alias", "rest": rest, "schema": schema} if rest else schema


def _fields(schema: CoreSchema) -> Iterator[tuple[str, CoreSchema]]:
    if schema["type"] not in _OBJECTS:
        return
    fields: Any = schema.get("fields", schema.get("arguments_schema"))
    if isinstance(fields, Mapping):
        yield from cast("Mapping[str, CoreSchema]", fields).items()
    else:
        yield from ((inner["name"], inner) for inner in cast("Sequence[CoreSchema]", fields))


def _ways(name: str, inner: CoreSchema) -> Iterator[Sequence[Part]]:
    """Yield the ways to a field: its name, and each alias."""
    yield (name,)
    alias: Any = inner.get("validation_alias", inner.get("alias"))
    for way in _listed(alias):
        yield (way,) if isinstance(way, str) else way


def _listed(alias: Any) -> list[Any]:
    if alias is None:
        return []
    if isinstance(alias, str):
        return [alias]
    return [alias] if alias and isinstance(alias[0], str) and _is_path(alias) else list(alias)


def _is_path(alias: Sequence[Any]) -> bool:
    return not isinstance(alias[-1], list)


def _spellings(name: str, inner: CoreSchema) -> Iterator[str]:
    yield from (part for way in _ways(name, inner) for part in way if isinstance(part, str))


def _spelling(name: str, inner: CoreSchema) -> str:
    """Return what a client is to write for a field."""
    first = list(_ways(name, inner))[1:2] or [(name,)]
    return str(first[0][0])


def _choices(schema: CoreSchema) -> list[tuple[CoreSchema, str | None]]:
    """Return the alternatives and their labels, None where Pydantic makes one."""
    choices: Any = schema.get("choices")
    if isinstance(choices, Mapping):
        return [(choice, _text(tag)) for tag, choice in cast("Mapping[Any, Any]", choices).items()]
    return [
        (choice[0], choice[1]) if isinstance(choice, tuple) else (choice, None)
        for choice in cast("Sequence[Any]", choices or ())
    ]


def _text(tag: Any) -> str:
    return str(getattr(tag, "value", tag))


def _schemas(found: Any) -> Iterator[CoreSchema]:
    if isinstance(found, Mapping):
        schema = cast("CoreSchema", found)
        if isinstance(schema.get("type"), str):
            yield schema
    elif isinstance(found, list | tuple):
        for one in cast("Sequence[Any]", found):
            yield from _schemas(one)


def _title(choice: CoreSchema, definitions: Mapping[str, CoreSchema]) -> str | None:
    try:
        whole = core_schema.definitions_schema(
            cast("Any", choice), cast("Any", list(definitions.values()))
        )
        return SchemaValidator(whole).title
    except Exception:  # no label is known then, and any may be this one's
        return None
