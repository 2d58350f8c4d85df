"""Nulls of a request that are written: what was sent is kept, whatever it is.

The way is that of `omitted`, which follows what was not sent. Here a dump of what was sent
counts, too, and only a look at the value itself counts as a check.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit import aliases, models, names
from roadworthy.audit.columns import stored
from roadworthy.audit.held import NOTHING, Guards, Held
from roadworthy.audit.module import Assigned, Class, Function
from roadworthy.audit.omitted import Trace, Write
from roadworthy.audit.reach import Reached
from roadworthy.audit.routes import Body, Route
from roadworthy.audit.source.nodes import is_none, last_name

__all__ = ["NullWrite", "null_writes"]

_SERIALIZERS: Final = frozenset({"field_serializer", "computed_field", "deprecated"})
_OF_MODELS: Final = frozenset({"model_validator", "root_validator"})
_IN_TYPES: Final = frozenset(
    {"BeforeValidator", "AfterValidator", "WrapValidator", "PlainValidator"}
)


@dataclass(frozen=True, slots=True, eq=False)
class NullWrite:
    """A place where a null of the body is written to what is never null."""

    fields: frozenset[str]
    node: ast.AST
    scope: Function
    chain: tuple[Reached, ...]
    owner: str
    """The class of what is stored; empty for dicts."""


def null_writes(route: Route) -> Iterator[NullWrite]:
    """Yield where nulls of a route's bodies are written to what cannot be null."""
    for body in route.bodies:
        if not _nullable(body):
            continue
        held = {body.name: Held(body=body)}
        trace = _Nulls(function=route.function, held=held, seen=frozenset({id(route.function)}))
        for write in trace.run():
            if isinstance(write, _Spoiling):
                yield NullWrite(write.fields, write.node, write.scope, write.chain, write.owner)


def _nullable(body: Body) -> frozenset[str]:
    """Return the fields that a request may send as null, as far as the model tells."""
    if any(_checks_all(base) for base in _classes(body.model)):
        return frozenset()
    checked = {name for base in _classes(body.model) for name in _checked(base)}
    return frozenset(
        one.name
        for one in models.fields(body.model).values()
        if one.nullable and not checked & {one.name, "*"} and not _checks_itself(one)
    )


def _classes(model: Class) -> Iterator[Class]:
    yield from (base.cls for base in names.bases(model) if base.cls is not None)


def _decorators(cls: Class) -> Iterator[tuple[str, ast.Call]]:
    for method in cls.methods:
        for one in method.node.decorator_list:
            if isinstance(one, ast.Call):
                yield last_name(one.func), one
            else:
                yield last_name(one), ast.Call(one, [], [])


def _checks_all(cls: Class) -> bool:
    return any(name in _OF_MODELS for name, _ in _decorators(cls))


def _checked(cls: Class) -> Iterator[str]:
    """Return the fields that decorators of methods name: other libraries have validators, too."""
    for name, call in _decorators(cls):
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        if name not in _SERIALIZERS:
            yield from (str(one.value) for one in given if isinstance(one, ast.Constant))


def _checks_itself(field: models.Field) -> bool:
    """Return whether a validator stands in the annotation of a field, or in its alias."""
    metadata = [
        one
        for binding in field.owner.names.get(field.name, ())
        if isinstance(binding, Assigned)
        for one, _ in aliases.unwrap(binding.annotation, field.owner)[2]
    ]
    return any(isinstance(one, ast.Call) and last_name(one.func) in _IN_TYPES for one in metadata)


@dataclass(frozen=True, slots=True, eq=False)
class _Spoiling(Write):
    """A write of null to fields that are never null."""

    owner: str = ""


class _Nulls(Trace):
    """The way of nulls through functions."""

    def _block(self, body: list[ast.stmt], guards: Guards) -> Iterator[Write]:
        for statement in body:
            yield from self._statement(statement, guards)
            if isinstance(statement, ast.If) and _leaves(statement.body):
                guards = guards.both(Guards(valued=self.tested(statement.test).valued))

    def tested(self, test: ast.expr) -> Guards:
        """Return which fields a condition is about; one on all values is about all of them."""
        found = super().tested(test)
        if not any(is_none(node) for node in ast.walk(test)):
            return found
        many = [self.eval(node) for node in ast.walk(test) if isinstance(node, ast.Name)]
        return found.both(Guards(valued=frozenset().union(*(one.fields for one in many))))

    @staticmethod
    def _attribute(owner: Held, attr: str) -> Held:
        if owner.body is None:
            return NOTHING
        if attr == "__dict__":
            return Held(fields=_nullable(owner.body), many=True)
        return Held(fields=frozenset({attr}) & _nullable(owner.body))

    def _result(self, node: ast.Call) -> Held:
        match node.func:
            case ast.Attribute(value=owner, attr=("model_dump" | "dict")):
                return _dumped(node, self.eval(owner).body)
            case ast.Name(id=("dict" | "vars" | "jsonable_encoder")) if node.args:
                held = self.eval(node.args[0])
                return held if held.body is None else _dumped(node, held.body)
            case ast.Name(id="getattr") if len(node.args) > 1:
                return _read(self.eval(node.args[0]).body, node.args[1])
            case _:
                return super()._result(node)

    def _write(
        self, value: Held, node: ast.AST, guards: Guards, target: ast.expr | None
    ) -> Iterator[Write]:
        found = stored(target, self.function)
        if found is None:
            return
        sent = value.fields - guards.valued
        spoiled = frozenset(name for name in sent if found.takes_null(name) is False)
        if spoiled:
            owner = "" if found.cls is None else found.cls.name
            nothing = frozenset[str]()
            yield _Spoiling(spoiled, nothing, node, self.function, self.chain, None, owner)


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def _read(body: Body | None, name: ast.expr) -> Held:
    """Return what `getattr(body, name)` gives."""
    if body is None:
        return NOTHING
    fields = _nullable(body)
    if isinstance(name, ast.Constant):
        fields &= {str(name.value)}
    return Held(fields=fields)


def _dumped(call: ast.Call, body: Body | None) -> Held:
    """Return what a dump holds of nulls, whatever else it leaves out."""
    options = {one.arg: one.value for one in call.keywords}
    if body is None or None in options or _may_be(options.get("exclude_none")):
        return NOTHING
    fields = _nullable(body)
    if _may_be(options.get("exclude_defaults")):
        known = models.fields(body.model)
        fields = frozenset(name for name in fields if not known[name].default_is_none)
    if "exclude" in options:
        fields -= _strings(options["exclude"])
    if "include" in options:
        fields &= _strings(options["include"])
    return Held(fields=fields, many=True)


def _may_be(option: ast.expr | None) -> bool:
    return option is not None and not (isinstance(option, ast.Constant) and not option.value)


def _strings(node: ast.expr) -> frozenset[str]:
    found = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
    return frozenset(one for one in found if isinstance(one, str))
