"""`join`: validate what a patch sent, once, together with what it keeps.

The validator is Pydantic's own, built of the entity's core schema, where each place
lets `Kept` values pass. So the order of fields, rules over several of them, defaults,
unions and places of errors are Pydantic's; only what was sent is read.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from pydantic_core import SchemaValidator

from roadworthy.patching.joining import validators
from roadworthy.patching.joining.objects import AnyValue, ObjectWrapper, RootModelWrapper
from roadworthy.patching.joining.unions import MARK, ArmChoice, ArmMatcher, UnionWrapper
from roadworthy.patching.joining.wrappers import (
    JsonTextWrapper,
    KeyWrapper,
    ValueWrapper,
    without_nulls,
)
from roadworthy.patching.schema.fields import input_names, layout_of
from roadworthy.patching.schema.nodes import (
    Schema,
    any_node,
    function_of,
    is_foreign,
    mapped,
    per_class,
    with_definitions,
    wrap,
)

__all__ = ["join"]


def join(kind: type[Any], parts: Any) -> Any:
    """Return an object of a class, made of what was sent and of what is kept.

    Raises:
        ValidationError: What was sent, or what comes out, does not fit.
    """
    return _joiner(kind).validate_python(parts)


@per_class
def _joiner(kind: type[Any]) -> SchemaValidator:
    layout = layout_of(kind)
    make = _Joined(layout.config, layout.definitions)
    definitions = [{**make(d), "ref": d["ref"]} for d in layout.definitions]
    node = with_definitions(make(layout.schema), definitions)
    return SchemaValidator(cast("Any", node), cast("Any", layout.config), _use_prebuilt=False)


@dataclass(frozen=True, eq=False)
class _Joined:
    """Turn nodes of a core schema into nodes that also take kept and moved values."""

    config: Schema
    definitions: list[Schema]

    def __call__(self, node: Schema) -> Schema:
        made: Schema = getattr(self, "_" + node["type"].replace("-", "_"), self._other)(node)
        made.pop("ref", None)
        return made

    def _other(self, node: Schema) -> Schema:
        return mapped(node, self.place)

    def place(self, node: Schema) -> Schema:
        """Return a node for a value that may be kept, sent or moved."""
        if node["type"] in {"model-fields", "dataclass-args"}:
            return self(node)
        if node["type"] == "default":  # fields look for it in their own node
            return {**node, "schema": self.place(node["schema"])}
        inside = self(node) if any_node(node, _can_hold_parts) else node
        return wrap(ValueWrapper(node, self.config, self.definitions), inside)

    # --- objects ---

    def _model(self, node: Schema) -> Schema:
        kind = node["cls"]
        if node.get("root_model"):
            return wrap(
                RootModelWrapper(kind), {**mapped(node, self._within(node)), "custom_init": False}
            )
        made = mapped(node, self._within(node))
        made["custom_init"] = False  # it would be given what is kept, in no form it knows
        return wrap(ObjectWrapper(kind, join), made)

    def _dataclass(self, node: Schema) -> Schema:
        return wrap(ObjectWrapper(node["cls"], join), mapped(node, self._within(node)))

    def _within(self, node: Schema) -> Callable[[Schema], Schema]:
        return replace(self, config=node.get("config") or {}).place

    def _model_fields(self, node: Schema) -> Schema:
        fields = {name: self._field(name, field) for name, field in node["fields"].items()}
        made = {**node, "fields": fields, "extra_behavior": "forbid"}
        made.pop("extras_schema", None)
        made.pop("extras_keys_schema", None)
        return made

    def _dataclass_args(self, node: Schema) -> Schema:
        # One that the class makes itself is refused as read-only, not as a wrong argument.
        fields = [{**self._field(f["name"], f), "init": True} for f in node["fields"]]
        return {**node, "fields": fields, "extra_behavior": "forbid"}

    def _field(self, name: str, field: Schema) -> Schema:
        return self.named(name, {**field, "schema": self._ruled(field["schema"])})

    def named(self, name: str, field: Schema) -> Schema:
        """Return a field that is read under its names only, never at an alias path."""
        keys = input_names(name, field, self.config) or (name,)
        return {**field, "validation_alias": [[key] for key in keys]}

    def _ruled(self, node: Schema) -> Schema:
        rules = validators.rules_of(node)
        made = self.place(node)
        if not rules:
            return made
        if node["type"] == "default":
            return {
                **made,
                "schema": wrap(validators.CrossFieldRules(rules), made["schema"], info=True),
            }
        return wrap(validators.CrossFieldRules(rules), made, info=True)

    def _typed_dict(self, node: Schema) -> Schema:
        config = node.get("config") or self.config
        inside = replace(self, config=config)
        fields = {
            name: inside.named(name, {**field, "schema": inside.place(field["schema"])})
            for name, field in node["fields"].items()
        }
        return without_nulls({**node, "fields": fields, "extra_behavior": "forbid"})

    def _dict(self, node: Schema) -> Schema:
        made = mapped(node, self.place)
        if keys := node.get("keys_schema"):
            made["keys_schema"] = wrap(KeyWrapper(keys, self.config, self.definitions), keys)
        return without_nulls(made)

    def _any(self, node: Schema) -> Schema:
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": AnyValue(join)},
        }

    # --- choices ---

    def _union(self, node: Schema) -> Schema:
        arms = [_arm(choice) for choice in cast("list[Any]", node["choices"])]
        raw = {**node, "choices": [(self.place(arm), f"{MARK}{i}") for i, arm in enumerate(arms)]}
        return self._choice(node, arms, raw)

    def _tagged_union(self, node: Schema) -> Schema:
        arms = list(cast("dict[Any, Schema]", node["choices"]).values())
        return self._choice(node, arms, mapped(node, self.place))

    def _choice(self, node: Schema, arms: list[Schema], raw: Schema) -> Schema:
        fitting = [ArmMatcher(arm, self.definitions) for arm in arms]
        choices = {f"{MARK}{i}": self.place(arm) for i, arm in enumerate(arms)}
        whole = {
            "type": "tagged-union",
            "discriminator": ArmChoice(fitting).arm,
            "choices": {**choices, f"{MARK}raw": raw},
        }
        return wrap(UnionWrapper(ValueWrapper(node, self.config, self.definitions)), whole)

    # --- functions of the user's own ---

    def _function_after(self, node: Schema) -> Schema:
        return validators.after(node, self.place(node["schema"]))

    def _function_before(self, node: Schema) -> Schema:
        return validators.before(node, self.place(node["schema"]))

    def _function_wrap(self, node: Schema) -> Schema:
        return validators.around(node, self.place(node["schema"]))

    def _function_plain(self, node: Schema) -> Schema:
        return validators.plain(node)

    def _json(self, node: Schema) -> Schema:
        if "schema" not in node:
            return node
        return wrap(
            JsonTextWrapper(ValueWrapper(node, self.config, self.definitions)),
            self.place(node["schema"]),
        )


def _arm(choice: Any) -> Schema:
    """Return an arm of a union without the label that errors give it."""
    return cast("Schema", choice[0] if isinstance(choice, tuple) else choice)


_HOLDERS: Final = frozenset(
    {"model", "dataclass", "typed-dict", "dict", "list", "set", "frozenset", "tuple", "any"}
    | {"definition-ref", "generator", "json"}
)


def _can_hold_parts(node: Schema) -> bool:
    return node["type"] in _HOLDERS or ("function" in node and is_foreign(function_of(node)))
