"""Run the entity's own validators on what was sent, and never on what is kept.

- After: gets the outcome; in a mapping, members that nobody sent stay what they were.
- Before and wrap, around something that is there already: they get the whole as a POST
  would bring it, and only what they make of sent parts is taken. One that cannot read
  what is stored (it made that out of another form) is left out.
- A rule over several fields (`info.data`) is asked again of an unsent field, where it
  looks at one that was sent; its answer counts, what it returns does not.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic_core import PydanticOmit, PydanticUseDefault

from roadworthy.patching.joining.as_input import as_input, current_as_input
from roadworthy.patching.joining.merged import (
    ABSENT,
    KeptValue,
    MergedArray,
    MergedObject,
    ValidatorInput,
)
from roadworthy.patching.schema.nodes import Schema, function_of, is_foreign, wrap
from roadworthy.patching.values.copies import copied

__all__ = [
    "CrossFieldRules",
    "after",
    "around",
    "before",
    "needs_more_than_value",
    "plain",
    "rules_of",
]

_READERS: Final = frozenset({"function-before", "function-wrap", "function-plain"})
_REFUSALS: Final = (ValueError, AssertionError, PydanticOmit, PydanticUseDefault)
"""What a validator raises to refuse: all else is a mistake in it."""


def needs_more_than_value(node: Schema) -> bool:
    """Return whether a validator node reads raw input or other fields."""
    if not node["type"].startswith("function-") or not is_foreign(function_of(node)):
        return False
    return node["type"] in _READERS or _wants_info(node)


def _wants_info(node: Schema) -> bool:
    return bool(cast("Mapping[str, Any]", node["function"])["type"] == "with-info")


def after(node: Schema, inside: Schema) -> Schema:
    """Return the node of an after-validator."""
    if not is_foreign(function_of(node)):
        return {**node, "schema": inside}
    call = function_of(node)

    def judge(value: Any, handler: Callable[[Any], Any], *info: Any) -> Any:
        made = handler(value)
        if type(value) is not MergedObject or not isinstance(made, dict):
            return call(made, *info)
        kept = {k: v for k, v in cast("dict[Any, Any]", made).items() if str(k) not in value.names}
        result = call(made, *info)
        return _restored(result, kept)

    return wrap(judge, inside, info=_wants_info(node))


def _restored(result: Any, kept: dict[Any, Any]) -> Any:
    if not isinstance(result, dict):
        return result
    pairs = cast("dict[Any, Any]", result).items()
    return {key: kept.get(key, item) for key, item in pairs}


def before(node: Schema, inside: Schema) -> Schema:
    """Return the node of a before-validator."""
    if not is_foreign(function_of(node)):
        return {**node, "schema": inside}
    call = function_of(node)
    # Fields read what a model's validator returns as they read what is sent.
    takes_parts = inside["type"] in {"model-fields", "dataclass-args"}

    def read(value: Any, handler: Callable[[Any], Any], *info: Any) -> Any:
        if _joins(value):
            return handler(_read(value, lambda whole: call(whole, *info)))
        made = call(_raw(value), *info)
        return handler(made if takes_parts else ValidatorInput(made))

    return wrap(read, inside, info=_wants_info(node))


def around(node: Schema, inside: Schema) -> Schema:
    """Return the node of a wrap-validator."""
    if not is_foreign(function_of(node)):
        return {**node, "schema": inside}
    call = function_of(node)

    def read(value: Any, handler: Callable[[Any], Any], *info: Any) -> Any:
        if not _joins(value):
            return call(_raw(value), _given_to(handler), *info)
        return _around(call, value, handler, info)

    return wrap(read, inside, info=_wants_info(node))


def _given_to(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def inner(made: Any) -> Any:
        return handler(ValidatorInput(made))

    return inner


def _around(call: Any, value: Any, handler: Callable[[Any], Any], info: tuple[Any, ...]) -> Any:
    whole = as_input(value)
    made: list[Any] = []

    def inner(changed: Any) -> Any:
        made.append(handler(_adopted(value, whole, changed)))
        return made[-1]

    try:
        result = call(copy.deepcopy(whole), inner, *info)
    except Exception:  # whatever it stumbled over before it asked for the outcome
        if made:
            raise  # it has judged the outcome
        return handler(value)
    if not made:  # it never asks: what it reads is all there is
        return handler(value)
    if isinstance(result, dict) and isinstance(value, MergedObject) and isinstance(made[-1], dict):
        outcome = cast("dict[Any, Any]", made[-1])
        return _restored(result, {k: v for k, v in outcome.items() if str(k) not in value.names})
    return cast("Any", result)


def plain(node: Schema) -> Schema:
    """Return the node of a plain validator."""
    if not is_foreign(function_of(node)):
        return node
    call = function_of(node)

    def read(value: Any, handler: Callable[[Any], Any], *info: Any) -> Any:
        if not _joins(value):
            return call(_raw(value), *info)
        result = call(copy.deepcopy(as_input(value)), *info)
        if isinstance(result, dict) and isinstance(value, MergedObject):
            kept = {getattr(k, "key", k): v.value for k, v in value.items() if type(v) is KeptValue}
            return _restored(result, kept)
        return cast("Any", result)

    return wrap(read, {"type": "any"}, info=_wants_info(node))


def _joins(value: Any) -> bool:
    return type(value) in {MergedObject, MergedArray} and value.current is not ABSENT


def _raw(value: Any) -> Any:
    if type(value) in {MergedObject, MergedArray}:
        return as_input(value)
    return value.value if type(value) is ValidatorInput else copy.deepcopy(value)


def _read(value: Any, call: Callable[[Any], Any]) -> Any:
    """Return merged fields, with what a before-validator makes of the sent ones."""
    try:
        call(current_as_input(value))
        whole = as_input(value)
    except Exception:  # it cannot read what is stored: nothing it says is about the patch
        return value
    try:
        return _adopted(value, whole, call(copy.deepcopy(whole)))
    except _REFUSALS:
        raise
    except Exception:  # it stumbled over a part that the fields will refuse
        return value


def _adopted(value: Any, whole: Any, changed: Any) -> Any:
    if (
        type(value) is not MergedObject
        or not isinstance(changed, dict)
        or not isinstance(whole, dict)
    ):
        return value
    made, found = value.of(value.current), cast("dict[str, Any]", changed)
    before = cast("dict[str, Any]", whole)
    for key in value.sent & found.keys():
        if found[key] != before.get(key):
            made[key] = ValidatorInput(found[key])
    return made


# --- rules over several fields ---


def rules_of(node: Schema) -> list[Any]:
    """Return a field's validators that can read the fields before it."""
    return list(_rules_of(node))


def _rules_of(node: Schema) -> Iterator[Any]:
    while "schema" in node and (node["type"] in {"default", "nullable"} or "function" in node):
        if node["type"] == "function-after" and needs_more_than_value(node):
            yield function_of(node)
        node = node["schema"]


@dataclass(frozen=True, eq=False)
class CrossFieldRules:
    """Ask rules of an unsent field again, where they read a field that was sent."""

    rules: list[Any]

    def __call__(self, value: Any, handler: Callable[[Any], Any], info: Any) -> Any:
        """Return the validated value, after the rules of a kept one were asked."""
        if type(value) is KeptValue and value.beside is not None and value.beside.names:
            for rule in reversed(self.rules):
                _ask(rule, value.value, info, value.beside.names)
        return handler(value)


def _ask(rule: Any, value: Any, info: Any, sent: set[str]) -> None:
    watched = _Watched(info.data or {}, sent)
    try:
        rule(copied(value), _Info(info, watched))
    except _REFUSALS:
        if watched.looked:
            raise
    except Exception:  # it reads another form than what is stored
        return


class _Watched(dict[str, Any]):
    """The `info.data` of a validator: notes whether a sent field is read."""

    def __init__(self, data: Mapping[str, Any], sent: set[str]) -> None:
        super().__init__(data)
        self.sent, self.looked = sent, False

    def __getitem__(self, name: str) -> Any:
        self.looked |= name in self.sent
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.looked |= name in self.sent
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.looked |= name in self.sent
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.looked = True
        return super().__iter__()

    def keys(self) -> Any:
        self.looked = True
        return super().keys()

    def values(self) -> Any:
        self.looked = True
        return super().values()

    def items(self) -> Any:
        self.looked = True
        return super().items()


class _Info:
    """Pydantic's `ValidationInfo` with watched data."""

    def __init__(self, info: Any, data: Mapping[str, Any]) -> None:
        self._info, self.data = info, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._info, name)
