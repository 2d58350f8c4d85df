"""Validate what was sent, once, and join it with what is kept.

The validator is Pydantic's own, built of the entity's core schema, where each place
lets `Kept` values pass. So the order of fields, rules over several of them, defaults,
unions and places of errors are Pydantic's; only what was sent is read.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from roadworthy.patching import _functions as functions
from roadworthy.patching._decimals import in_digits
from roadworthy.patching._fields import Layout, has_fields, layout_of, own_keys
from roadworthy.patching._parts import (
    ABSENT,
    Given,
    Hidden,
    Items,
    Kept,
    KeptKey,
    Moved,
    New,
    Parts,
    Refused,
    copied,
)
from roadworthy.patching._schemas import (
    Schema,
    anywhere,
    function_of,
    is_foreign,
    mapped,
    per_class,
    standing,
    wrap,
)

__all__ = ["MARK", "join"]

MARK: Final = "\0"
"""Before the names of places that are none of the document's, such as arms of a union."""


def join(kind: type[Any], parts: Any) -> Any:
    """Make an object of a class from parts of a patch and of what is there.

    Raises:
        ValidationError: What was sent, or what comes out, does not fit.
    """
    return _joiner(kind).validate_python(parts)


@per_class
def _joiner(kind: type[Any]) -> SchemaValidator:
    layout = layout_of(kind)
    make = _Joined(layout.config, layout.definitions)
    definitions = [{**make(d), "ref": d["ref"]} for d in layout.definitions]
    node = standing(make(layout.schema), definitions)
    return SchemaValidator(cast("Any", node), cast("Any", layout.config), _use_prebuilt=False)


@dataclass(frozen=True, eq=False)
class _Joined:
    """Turns nodes of a core schema into nodes that take parts."""

    config: Schema
    definitions: list[Schema]

    def __call__(self, node: Schema) -> Schema:
        made: Schema = getattr(self, "_" + node["type"].replace("-", "_"), self._other)(node)
        made.pop("ref", None)
        return made

    def _other(self, node: Schema) -> Schema:
        return mapped(node, self.place)

    def place(self, node: Schema) -> Schema:
        """Return a node for a place where a value may be kept, sent or moved."""
        if node["type"] in {"model-fields", "dataclass-args"}:
            return self(node)
        if node["type"] == "default":  # fields look for it in their own node
            return {**node, "schema": self.place(node["schema"])}
        inside = self(node) if anywhere(node, _can_hold_parts) else node
        return wrap(_Place(node, self.config, self.definitions), inside)

    # --- objects ---

    def _model(self, node: Schema) -> Schema:
        kind = node["cls"]
        if node.get("root_model"):
            return wrap(_Root(kind), {**mapped(node, self._within(node)), "custom_init": False})
        made = mapped(node, self._within(node))
        made["custom_init"] = False  # it would be given what is kept, in no form it knows
        return wrap(_Object(kind), made)

    def _dataclass(self, node: Schema) -> Schema:
        return wrap(_Object(node["cls"]), mapped(node, self._within(node)))

    def _within(self, node: Schema) -> Callable[[Schema], Schema]:
        return replace(self, config=node.get("config") or {}).place

    def _model_fields(self, node: Schema) -> Schema:
        fields = {name: self._field(name, field) for name, field in node["fields"].items()}
        made = {**node, "fields": fields, "extra_behavior": "forbid"}
        made.pop("extras_schema", None)
        made.pop("extras_keys_schema", None)
        return made

    def _dataclass_args(self, node: Schema) -> Schema:
        fields = [self._field(field["name"], field) for field in node["fields"]]
        return {**node, "fields": fields, "extra_behavior": "forbid"}

    def _field(self, name: str, field: Schema) -> Schema:
        keys = own_keys(name, field, self.config) or (name,)
        made = {**field, "schema": self._ruled(field["schema"])}
        made["validation_alias"] = [[key] for key in keys]
        return made

    def _ruled(self, node: Schema) -> Schema:
        rules = functions.rules_of(node)
        made = self.place(node)
        if not rules:
            return made
        if node["type"] == "default":
            return {**made, "schema": wrap(functions.Ruled(rules), made["schema"], info=True)}
        return wrap(functions.Ruled(rules), made, info=True)

    def _typed_dict(self, node: Schema) -> Schema:
        config = node.get("config") or self.config
        inside = replace(self, config=config)
        fields = {
            name: {**field, "schema": inside.place(field["schema"])}
            for name, field in node["fields"].items()
        }
        return _pruned({**node, "fields": fields, "extra_behavior": "forbid"})

    def _dict(self, node: Schema) -> Schema:
        made = mapped(node, self.place)
        if keys := node.get("keys_schema"):
            made["keys_schema"] = wrap(_Key(keys, self.config, self.definitions), keys)
        return _pruned(made)

    def _any(self, node: Schema) -> Schema:
        return {"type": "function-plain", "function": {"type": "no-info", "function": _resolved}}

    # --- choices ---

    def _union(self, node: Schema) -> Schema:
        arms = [arm[0] if isinstance(arm, tuple) else arm for arm in node["choices"]]
        raw = {**node, "choices": [(self.place(arm), f"{MARK}{i}") for i, arm in enumerate(arms)]}
        return self._choice(node, arms, raw)

    def _tagged_union(self, node: Schema) -> Schema:
        arms = list(cast("dict[Any, Schema]", node["choices"]).values())
        return self._choice(node, arms, mapped(node, self.place))

    def _choice(self, node: Schema, arms: list[Schema], raw: Schema) -> Schema:
        fitting = [_Fits(arm, self.definitions) for arm in arms]
        choices = {f"{MARK}{i}": self.place(arm) for i, arm in enumerate(arms)}
        whole = {
            "type": "tagged-union",
            "discriminator": _Which(fitting).arm,
            "choices": {**choices, f"{MARK}raw": raw},
        }
        return wrap(_Choice(_Place(node, self.config, self.definitions)), whole)

    # --- functions of the user's own ---

    def _function_after(self, node: Schema) -> Schema:
        return functions.after(node, self.place(node["schema"]))

    def _function_before(self, node: Schema) -> Schema:
        return functions.before(node, self.place(node["schema"]))

    def _function_wrap(self, node: Schema) -> Schema:
        return functions.around(node, self.place(node["schema"]))

    def _function_plain(self, node: Schema) -> Schema:
        return functions.plain(node)

    def _json(self, node: Schema) -> Schema:
        if "schema" not in node:
            return node
        return wrap(_Text(_Place(node, self.config, self.definitions)), self.place(node["schema"]))


_HOLDERS: Final = frozenset(
    {"model", "dataclass", "typed-dict", "dict", "list", "set", "frozenset", "tuple", "any"}
    | {"definition-ref", "generator", "json"}
)


def _can_hold_parts(node: Schema) -> bool:
    return node["type"] in _HOLDERS or ("function" in node and is_foreign(function_of(node)))


@dataclass(frozen=True, eq=False)
class _Place:
    """Decides what becomes of one value."""

    node: Schema
    config: Schema
    definitions: list[Schema]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        kind = type(value)
        if kind is Kept:
            return copied(value.value)
        if kind is Parts or kind is Items:
            return handler(value)
        if kind is Moved:
            return self._moved(value, handler)
        if kind is Refused:
            raise PydanticCustomError("read_only", "This field is read-only")
        if kind is Given:
            return self.validator.validate_python(value.value)
        if not self.stands_alone or (kind is New and value.has_nulls()):
            return handler(value)
        return self.fresh(value)

    def _moved(self, value: Moved, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value.value, BaseModel):
            try:
                return handler(value)
            except ValidationError:
                pass
        if value.hidden:
            raise PydanticCustomError("hidden", _HIDDEN)
        return self(value.shown, handler)

    def fresh(self, value: Any) -> Any:
        """Return what the entity makes of JSON, read strictly."""
        try:
            text = json.dumps(value, default=_hide)
        except (TypeError, ValueError) as error:
            if isinstance(error.__cause__ or error, PydanticCustomError):
                raise
            return self.validator.validate_python(value)  # a validator made it
        return self.validator.validate_json(text, strict=True, extra="forbid")

    @cached_property
    def validator(self) -> SchemaValidator:
        """What validates the value, alone."""
        node = standing(in_digits(self.node), [in_digits(d) for d in self.definitions])
        return SchemaValidator(cast("Any", node), cast("Any", self.config), _use_prebuilt=False)

    @cached_property
    def stands_alone(self) -> bool:
        """True where neither other fields nor a validator of raw input has a say."""
        return not anywhere(standing(self.node, self.definitions), functions.reads_more)


_HIDDEN: Final = "What answers do not show cannot be read at another place"


def _hide(value: Any) -> Any:
    if isinstance(value, Hidden):
        raise PydanticCustomError("hidden", _HIDDEN)
    raise TypeError


@dataclass(frozen=True, eq=False)
class _Object:
    """Joins parts of a model or dataclass with the object that is there."""

    kind: type[Any]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is Moved:
            if type(value.value) is self.kind:
                return value.value
            raise PydanticCustomError("model_type", "Input should be another kind of object")
        if type(value) is not Parts:
            return handler(value)
        current = value.current
        if current is not ABSENT and not isinstance(current, self.kind):
            raise PydanticCustomError("model_type", "Input should be another kind of object")
        if current is not ABSENT and type(current) is not self.kind:
            return join(type(current), value)  # a subclass stays what it is
        return _finished(handler, value, layout_of(self.kind))


def _finished(handler: Callable[[Any], Any], parts: Parts, layout: Layout) -> Any:
    known = layout.by_key
    extras = {k: p.value for k, p in parts.items() if k not in known and type(p) is Kept}
    for key in extras:
        parts = parts.of(parts.current) if key in parts else parts
        del parts[key]
    made = handler(parts)
    current = parts.current
    if isinstance(made, BaseModel) and isinstance(current, BaseModel):
        # What was set is what was set before, and what was sent.
        object.__setattr__(
            made, "__pydantic_fields_set__", current.__pydantic_fields_set__ | parts.names
        )
        if current.__pydantic_extra__ is not None:
            object.__setattr__(made, "__pydantic_extra__", copied(extras))
    mapper: Any = getattr(layout.kind, "__mapper__", None)
    return made if mapper is None else _mapped(made, mapper)


def _mapped(made: Any, mapper: Any) -> Any:
    """Return the same as an object that an ORM knows, in no session (a table of SQLModel)."""
    row: Any = mapper.class_manager.new_instance()
    for name, value in vars(made).items():
        if name in type(made).model_fields:
            setattr(row, name, value)
    object.__setattr__(row, "__pydantic_fields_set__", set(made.__pydantic_fields_set__))
    return row


@dataclass(frozen=True, eq=False)
class _Root:
    kind: type[Any]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is Moved:
            if type(value.value) is self.kind:
                return value.value
            raise PydanticCustomError("model_type", "Input should be another kind of object")
        if type(value) in {Parts, Items} and isinstance(value.current, self.kind):
            return handler(value.of(cast("Any", value.current).root))
        return handler(value)


@dataclass(frozen=True, eq=False)
class _Key:
    """Keeps the keys that a mapping has, and reads new ones from their spelling."""

    node: Schema
    config: Schema
    definitions: list[Schema]

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is KeptKey:
            return value.key
        if self.node["type"] == "str" or not isinstance(value, str):
            return handler(value)
        return self.validator.validate_strings(cast("Any", value))

    @cached_property
    def validator(self) -> SchemaValidator:
        """What reads a key that is no text."""
        node = standing(self.node, self.definitions)
        return SchemaValidator(cast("Any", node), cast("Any", self.config))


@dataclass(frozen=True, eq=False)
class _Fits:
    """Whether a value that is there could stand in one arm of a union."""

    node: Schema
    definitions: list[Schema]

    def __call__(self, current: Any) -> bool:
        return self.validator.isinstance_python(current)

    @cached_property
    def validator(self) -> SchemaValidator:
        """What only looks at types."""
        node = standing(
            _looked_at(self.node), [{**_looked_at(d), "ref": d["ref"]} for d in self.definitions]
        )
        return SchemaValidator(cast("Any", node), cast("Any", {"strict": True}))


def _looked_at(node: Schema) -> Schema:
    match node["type"]:
        case "model" | "dataclass":
            return {"type": "is-instance", "cls": node["cls"]}
        case "function-after":
            return (
                _looked_at(node["schema"]) if is_foreign(function_of(node)) else _other_look(node)
            )
        case "function-before" | "function-wrap" | "function-plain" if is_foreign(
            function_of(node)
        ):
            return {"type": "any"}
        case "json":
            return _looked_at(node["schema"]) if "schema" in node else {"type": "any"}
        case _:
            return _other_look(node)


def _other_look(node: Schema) -> Schema:
    made = mapped(node, _looked_at)
    made.pop("ref", None)
    return made


@dataclass(frozen=True, eq=False)
class _Which:
    """Names the arm of a union that a part joins."""

    fitting: list[_Fits]

    def arm(self, value: Any) -> str:
        """Return the name of the arm that fits what is there."""
        current = value.value if type(value) is Moved else getattr(value, "current", ABSENT)
        if current is not ABSENT and type(value) in {Parts, Items, Moved}:
            for index, fits in enumerate(self.fitting):
                if fits(current):
                    return f"{MARK}{index}"
        return f"{MARK}raw"


@dataclass(frozen=True, eq=False)
class _Choice:
    """Tries what the value is now, then what the outcome could be instead."""

    place: _Place

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) not in {Parts, Items} or value.instead is None:
            return handler(value)
        try:
            return handler(value)
        except ValidationError as first:
            try:
                return self.place(value.instead(), handler)
            except ValidationError as second:
                raise (second if self.place.node["type"] == "tagged-union" else first) from None


@dataclass(frozen=True, eq=False)
class _Text:
    """Reads JSON from text where it was sent, and joins parts with what text once held."""

    place: _Place

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) in {Parts, Items, Moved}:
            return handler(value)
        return self.place.fresh(value)


def _pruned(node: Schema) -> Schema:
    def prune(value: Any, handler: Callable[[Any], Any]) -> Any:
        if type(value) is New:
            value = New({key: item for key, item in value.items() if item is not None})
        return handler(value)

    return wrap(prune, node)


def _resolved(value: Any) -> Any:
    """Return plain values for parts, where anything may stand."""
    match value:
        case Kept():
            return copied(value.value)
        case Moved() | Hidden():
            if isinstance(value, Hidden) or value.hidden:
                raise PydanticCustomError("hidden", _HIDDEN)
            return value.shown
        case dict() | list():
            return _resolved_inside(cast("Any", value))
        case _:
            return value


def _resolved_inside(value: Any) -> Any:
    match value:
        case New():
            return {k: _resolved(v) for k, v in value.items() if v is not None}
        case Parts() if has_fields(value.current):
            return join(type(value.current), value)
        case Parts():
            items = cast("Mapping[str, Any]", value).items()
            return {k.key if type(k) is KeptKey else k: _resolved(v) for k, v in items}
        case Items():
            return [_resolved(item) for item in cast("list[Any]", value)]
        case _:
            return value
