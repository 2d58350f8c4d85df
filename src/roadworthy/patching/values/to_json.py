"""Write values as JSON that the entity reads back: in the form of input.

Pydantic's serializer does it, built of the entity's core schema without what changes
how answers show a value: serializers, `exclude`, aliases of output, masks.
"""

import base64
import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast
from uuid import UUID

from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr
from pydantic_core import (
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    core_schema,
    to_jsonable_python,
)

from roadworthy.patching.schema.fields import (
    class_of,
    extras_of,
    input_names,
    is_secret,
    json_name,
    layout_of,
)
from roadworthy.patching.schema.nodes import Schema, is_foreign, mapped, per_class, with_definitions
from roadworthy.patching.values.init_false import differing_init_false

__all__ = ["SECRETS", "NotWritable", "column", "field_to_json", "json_key", "to_json"]

_SINGLE: Final = (
    str,
    int,
    float,
    bool,
    type(None),
    bytes,
    date,
    time,
    timedelta,
    Decimal,
    UUID,
    Enum,
)
_NATURAL: Final = (*_SINGLE, Mapping, list, tuple, set, frozenset, BaseModel)
_STRUCTURELESS: Final = frozenset(
    {"any", "is-instance", "is-subclass", "callable", "function-plain"}
)
SECRETS: Final = (Secret, SecretStr, SecretBytes)
"""The types that Pydantic shows as a mask."""


class NotWritable(TypeError):
    """A value has no JSON form that a column can hold and give back."""


def column(kind: type[Any], name: str, value: Any) -> Any:
    """Return the value to write to the column of a field.

    Single values, and lists and tuples of them, stay Python's own. What only a JSON
    column can hold is JSON, all the way down.
    """
    return _dumped(kind, name, value, mode="json" if _needs_json(value) else "python")


def field_to_json(kind: type[Any], name: str, value: Any) -> Any:
    """Return the JSON of a field's value, in the form of input."""
    return _dumped(kind, name, value, mode="json")


def to_json(value: Any) -> Any:
    """Return the JSON of any value, as its own type reads it."""
    if isinstance(value, BaseModel) or _is_dataclass(value):
        kind = class_of(value)
        if isinstance(value, RootModel):
            return field_to_json(kind, "root", cast("Any", value).root)
        layout = layout_of(kind)
        found = layout.values_of(value)
        return {
            field.keys[0]: field_to_json(kind, name, found[name])
            for name, field in layout.fields.items()
            if name in found and not field.made
        } | to_json(extras_of(value))
    if isinstance(value, SECRETS):
        return to_json(cast("Any", value).get_secret_value())
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {json_key(key): to_json(item) for key, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item) for item in cast("list[Any]", value)]
    return to_jsonable_python(value)


def json_key(key: Any) -> str:
    """Return the JSON spelling of a mapping's key."""
    if type(key) is str:
        return key
    return str(next(iter(to_jsonable_python({key: None}))))


def _dumped(kind: type[Any], name: str, value: Any, *, mode: str) -> Any:
    try:
        return _serializers(kind)[name].to_python(
            value, mode=mode, by_alias=True, round_trip=True, warnings="none"
        )
    except (PydanticSerializationError, TypeError, ValueError) as error:
        place, _, hint = (_place_in(error) or f"{kind.__name__}.{name}").partition(" ")
        # The cause may quote the value.
        raise NotWritable(
            f"{place} has no JSON form that reads back, so no column can hold it. Give its type "
            "a serializer and a validator that are each other's inverse, keep it in a column of "
            f"its own, or mark the field ReadOnly. {hint}"
        ) from None


_BYTES = ' Bytes that are no text need model_config = ConfigDict(val_json_bytes="base64").'


_MARK: Final = "\0"
"""Before a place in an error of ours: no text of Pydantic's begins with it."""


def _unwritable(place: str) -> PydanticSerializationError:
    # This class alone passes Pydantic's serializer as it is.
    return PydanticSerializationError(_MARK + place)


def _place_in(error: BaseException) -> str:
    text = str(error)
    return text.removeprefix(_MARK) if text.startswith(_MARK) else ""


class _Serializers(dict[str, SchemaSerializer]):
    """The serializers of a class by field, each made when first used."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self.kind = kind

    def __missing__(self, name: str) -> SchemaSerializer:
        layout = layout_of(self.kind)
        make = _Written(layout.config, f"{self.kind.__name__}.{name}")
        definitions = [{**make(d), "ref": d["ref"]} for d in layout.definitions]
        self[name] = SchemaSerializer(
            cast("Any", with_definitions(make(layout.fields[name].node), definitions)),
            cast("Any", _config(layout.config)),
            _use_prebuilt=False,
        )
        return self[name]


_serializers = per_class(_Serializers)


def _config(config: Schema) -> Schema:
    # What input reads whatever the configuration of output says.
    return {
        **config,
        "ser_json_timedelta": "iso8601",
        "ser_json_temporal": "iso8601",
        "ser_json_inf_nan": "constants",
    }


@dataclasses.dataclass(frozen=True)
class _Written:
    """Turn nodes of a core schema into nodes that serialize in the form of input."""

    config: Schema
    place: str

    def __call__(self, node: Schema) -> Schema:
        return getattr(self, "_" + node["type"].replace("-", "_"), self._other)(node)

    def _other(self, node: Schema) -> Schema:
        shown: Any = node.get("serialization")
        made = mapped(node, self)
        made.pop("serialization", None)
        if is_secret(node):
            made["serialization"] = _plain(_revealed)
        elif shown and not is_foreign(shown.get("function", print)) and "function" in shown:
            made["serialization"] = shown  # of a type that Pydantic knows: its inverse
        elif node["type"] in _STRUCTURELESS or (shown and node["type"].startswith("function-")):
            made["serialization"] = _wrapped(_Opaque(node, shown, self.place))
        return made

    def _bytes(self, node: Schema) -> Schema:
        mode = self.config.get("val_json_bytes") or "utf8"
        return {"type": "bytes", "serialization": _plain(_Bytes(mode, self.place))}

    def _model(self, node: Schema) -> Schema:
        kind, config = node["cls"], cast("Schema", node.get("config") or {})
        inside = dataclasses.replace(self, config=config, place=kind.__name__)
        made = mapped(node, inside)
        made["config"] = _config(config)
        made["serialization"] = _wrapped(_Exactly(kind, self.place))
        return made

    _dataclass = _model

    def _typed_dict(self, node: Schema) -> Schema:
        inside = dataclasses.replace(self, config=node.get("config") or self.config)
        made = mapped(node, inside)
        made.pop("serialization", None)
        return made

    def _model_fields(self, node: Schema) -> Schema:
        fields = {name: self._named(name, field) for name, field in node["fields"].items()}
        return {**node, "fields": fields, "computed_fields": []}

    def _dataclass_args(self, node: Schema) -> Schema:
        fields = [self._named(field["name"], field) for field in node["fields"]]
        return {**node, "fields": fields, "computed_fields": []}

    def _named(self, name: str, field: Schema) -> Schema:
        place = f"{self.place}.{name}"
        made = {**field, "schema": dataclasses.replace(self, place=place)(field["schema"])}
        made.pop("serialization_exclude", None)
        made.pop("serialization_exclude_if", None)
        made["serialization_alias"] = json_name(name, field, self.config)
        if field.get("init") is False:
            made["serialization_exclude"] = True  # no input has it
        return made

    def _typed_dict_field(self, node: Schema) -> Schema:
        made = mapped(node, self)
        made.pop("serialization_exclude", None)
        made.pop("serialization_exclude_if", None)
        made.pop("serialization_alias", None)
        names = input_names("", node, {})
        return {**made, "serialization_alias": names[0]} if names and names[0] else made


def _plain(function: Callable[[Any], Any]) -> Any:
    return core_schema.plain_serializer_function_ser_schema(function, when_used="json")


def _wrapped(function: Callable[[Any, Any], Any]) -> Any:
    return core_schema.wrap_serializer_function_ser_schema(function, when_used="json")


def _revealed(value: Any) -> Any:
    return to_json(value)


@dataclasses.dataclass(frozen=True)
class _Exactly:
    """Refuse values that a column would lose: fields of subclasses, `init=False`."""

    kind: type[Any]
    place: str

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value, self.kind) and type(value) is not self.kind:
            raise _unwritable(self.place)
        for name in differing_init_false(value):
            raise _unwritable(f"{self.kind.__name__}.{name}")
        return handler(value)


@dataclasses.dataclass(frozen=True)
class _Bytes:
    mode: str
    place: str

    def __call__(self, value: bytes) -> Any:
        match self.mode:
            case "base64":
                return base64.urlsafe_b64encode(value).decode()
            case "hex":
                return value.hex()
            case _:
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    raise _unwritable(self.place + _BYTES) from None


@dataclasses.dataclass(frozen=True, eq=False)
class _Opaque:
    """Serialize values of unknown shape, and check that they read back."""

    node: Schema
    shown: Any
    place: str

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if self.node["type"] == "any":
            return to_json(value)
        if isinstance(value, _NATURAL):
            return handler(value)
        made = self._own(value)
        if not self._reads_back(made, value):
            raise _unwritable(self.place)
        return made

    def _own(self, value: Any) -> Any:
        if self.shown and self.shown["type"] == "to-string":
            return str(value)
        if self.shown and self.shown["type"] == "function-plain" and not self.shown.get("info_arg"):
            return to_jsonable_python(self.shown["function"](value))
        return to_json(value)

    def _reads_back(self, made: Any, value: Any) -> bool:
        try:
            return bool(SchemaValidator(cast("Any", self.node)).validate_python(made) == value)
        except Exception:  # whatever a validator of the user's raises: it does not
            return False


def _needs_json(value: Any) -> bool:
    """Return whether only a JSON column can hold a value."""
    if isinstance(value, RootModel):
        return _needs_json(cast("Any", value).root)
    if isinstance(value, list | tuple) and not hasattr(cast("Any", value), "_fields"):
        return any(_needs_json(item) for item in cast("list[Any]", value))
    return not isinstance(value, _SINGLE) and (
        isinstance(value, BaseModel | Mapping | set | frozenset | tuple) or _is_dataclass(value)
    )


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
