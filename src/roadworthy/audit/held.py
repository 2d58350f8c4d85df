"""What an expression holds of a request's body, sent or not.

Used by `omitted`, which follows it to where it is written.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from roadworthy.audit import models, names
from roadworthy.audit.module import Function
from roadworthy.audit.reach import arguments
from roadworthy.audit.ref import Ref
from roadworthy.audit.routes import Body
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.nodes import mentions

__all__ = ["NOTHING", "Guards", "Held", "Holding", "asks_what_was_sent", "optional"]

NONE: Final[frozenset[str]] = frozenset()
_DEEPEST: Final = 3
"""As many functions of the project are asked what they make of a body."""


@dataclass(frozen=True, slots=True)
class Held:
    """What an expression holds of a body."""

    body: "Body | None" = None
    """The body itself."""
    fields: frozenset[str] = NONE
    """Fields whose default it may be, or hold, where the request did not name them."""
    kept: frozenset[str] = NONE
    """Fields for which None means that what is stored is kept."""
    many: bool = False
    """Whether it is a dict of fields, rather than the value of one."""
    members: "Mapping[str, Held] | None" = None
    """What the attributes of an object hold that was made of the body."""

    @property
    def nothing(self) -> bool:
        """Return whether it holds nothing of the body."""
        return self.body is None and not self.fields and not self.kept

    def without(self, names_: frozenset[str]) -> "Held":
        """Return it with some fields known to be named by the request."""
        return replace(self, fields=self.fields - names_)

    def joined(self, other: "Held") -> "Held":
        """Return what holds both."""
        return Held(
            self.body or other.body,
            self.fields | other.fields,
            self.kept | other.kept,
            many=self.many or other.many,
            members=self.members or other.members,
        )

    def value(self) -> "Held":
        """Return what a name for one value of a dict holds."""
        return replace(self, many=False, members=None)


NOTHING: Final = Held()
"""What most expressions hold."""


def optional(body: Body) -> frozenset[str]:
    """Return the fields whose absence gives a default that may be written."""
    return frozenset(
        one.name
        for one in models.fields(body.model).values()
        if not one.required and not one.default_is_missing
    )


@dataclass(slots=True)
class Guards:
    """What has been tested where the code stands."""

    sent: frozenset[str] = NONE
    """Fields that the request has named, by `model_fields_set` or a key of a dump."""
    valued: frozenset[str] = NONE
    """Fields that are not None, or true."""

    def both(self, other: "Guards") -> "Guards":
        """Return what two conditions say together."""
        return Guards(self.sent | other.sent, self.valued | other.valued)

    def all_sent(self) -> "Guards":
        """Return them where a null has been refused: what has a value was sent."""
        return Guards(self.sent | self.valued, self.valued)


@dataclass(slots=True)
class Holding:
    """What the names of a function hold."""

    function: Function
    held: dict[str, Held]
    fresh: set[str] = field(default_factory=set[str])
    """Names of objects that are made here: writing to them overwrites nothing."""
    keys: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Names that stand for the key of a dump in a loop, with the fields that it has."""
    depth: int = _DEEPEST

    def eval(self, node: ast.expr) -> Held:  # noqa: C901, PLR0911 - a table
        """Return what an expression holds of the body."""
        match node:
            case ast.Name(id=name):
                return self.held.get(name, NOTHING)
            case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
                return self.eval(value)
            case ast.Attribute(value=value, attr=attr):
                return self._attribute(self.eval(value), attr)
            case ast.Subscript(value=value, slice=key):
                return _picked(self.eval(value), key)
            case ast.BoolOp(op=ast.Or(), values=[first, *rest]):
                return self._fallback(self.eval(first), rest)
            case ast.IfExp():
                return self._choice(node)
            case ast.Dict():
                return self._dict(node)
            case ast.DictComp():
                return self._comprehension(node)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self.eval(left).joined(self.eval(right))
            case ast.Call():
                return self._result(node)
            case _:
                return NOTHING

    @staticmethod
    def _attribute(owner: Held, attr: str) -> Held:
        if owner.members is not None:
            return owner.members.get(attr, NOTHING)
        if owner.body is None:
            return NOTHING
        if attr == "__dict__":
            return Held(fields=optional(owner.body), many=True)
        return Held(fields=frozenset({attr}) & optional(owner.body))

    def _fallback(self, first: Held, rest: list[ast.expr]) -> Held:
        """`body.name or item.name` keeps what is stored; `body.name or ""` does not."""
        if first.nothing:
            return NOTHING
        stored = any(
            isinstance(one, ast.Name | ast.Attribute | ast.Call | ast.Subscript) for one in rest
        )
        return Held(kept=first.fields | first.kept) if stored else first

    def _choice(self, node: ast.IfExp) -> Held:
        tested = self.tested(node.test)
        fields = tested.valued | tested.sent
        body, orelse = self.eval(node.body), self.eval(node.orelse)
        value = body.joined(orelse)
        if not fields or not value.fields & fields:
            return value
        other = node.orelse if body.fields & fields else node.body
        if isinstance(other, ast.Constant):
            return value
        kept = value.kept | (value.fields & tested.valued)
        return replace(value, fields=value.fields - fields, kept=kept)

    def _dict(self, node: ast.Dict) -> Held:
        """Return what a dict holds, whatever its keys: `{"$set": {"name": body.name}}`."""
        held = NOTHING
        for value in node.values:
            held = held.joined(replace(self.eval(value), body=None))
        return replace(held, many=not held.nothing)

    def _comprehension(self, node: ast.DictComp) -> Held:
        """`{k: v for k, v in dump.items() if v is not None}` keeps what is stored."""
        generator = node.generators[0]
        match generator.iter, generator.target:
            case (
                ast.Call(func=ast.Attribute(value=value, attr="items")),
                ast.Tuple(elts=[ast.Name(id=key), ast.Name(id=name)]),
            ):
                return _filtered(self.eval(value), generator.ifs, key, name)
            case _:
                return NOTHING

    def _result(self, node: ast.Call) -> Held:
        match node.func:
            case ast.Attribute(value=owner, attr=("model_dump" | "dict")):
                return _whole(node, self.eval(owner))
            case ast.Attribute(value=owner, attr=("get" | "pop")) if node.args:
                return _picked(self.eval(owner), node.args[0])
            case ast.Attribute(value=owner, attr="copy"):
                return replace(self.eval(owner), body=None)
            case ast.Name(id=("dict" | "vars")) if len(node.args) == 1:
                return self._as_dict(node)
            case ast.Name(id="jsonable_encoder") if node.args:
                return self._as_dict(node)
            case _:
                return self._passed_on(node)

    def _as_dict(self, node: ast.Call) -> Held:
        held = self.eval(node.args[0])
        return held if held.body is None and held.members is None else _whole(node, held)

    def _passed_on(self, node: ast.Call) -> Held:
        """Return what conversions, models and functions of the project make of a body."""
        ref = names.resolve(node.func, self.function)
        if ref is None:
            return NOTHING
        if len(node.args) == 1 and (ref.name in _CONVERSIONS or ref.name.startswith(_FUNC)):
            return self.eval(node.args[0])
        if ref.cls is not None and not ref.is_instance:
            return self._object(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _VALIDATES and node.args:
            held = self.eval(node.args[0])
            return _object_of(held) if held.many or held.body is not None else NOTHING
        return NOTHING if ref.function is None else self._returned(node, ref.function, ref)

    def _object(self, node: ast.Call) -> Held:
        """Return what an object holds that is made of a body, keyword by keyword."""
        members: dict[str, Held] = {}
        for keyword in node.keywords:
            held = self.eval(keyword.value)
            if keyword.arg is not None and not held.nothing:
                members[keyword.arg] = held.value()
            elif keyword.arg is None and held.many:
                members |= _object_of(held).members or {}
        return _made_of(members)

    def _returned(self, node: ast.Call, function: Function, ref: Ref) -> Held:
        """Return what a function of the project returns of the body that it is given."""
        if self.depth == 0 or function.is_generator or function is self.function:
            return NOTHING
        given = {name: self.eval(one) for name, one in arguments(node, function, ref).items()}
        if isinstance(node.func, ast.Attribute) and function.is_bound and function.params:
            given[function.params[0].name] = self.eval(node.func.value)
        given = {name: held for name, held in given.items() if not held.nothing}
        if not given or asks_what_was_sent(function):
            return NOTHING
        return Holding(function, given, depth=self.depth - 1).result()

    def result(self) -> Held:
        """Return what the function gives back, read from above."""
        found = NOTHING
        events = [*self.function.flow.assigns, *self.function.flow.returns]
        for event in sorted(events, key=lambda one: one.statement.lineno):
            match event.node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.held[name] = self.eval(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self.held[name] = self.eval(value)
                case ast.Return(value=ast.expr() as value):
                    found = found.joined(self.eval(value))
                case _:
                    pass
        return found

    def _asks(self, call: ast.Call) -> bool:
        """`body.is_set("name")` asks what was sent, where that is what the method looks at."""
        ref = names.resolve(call.func, self.function)
        if ref is None or ref.function is None:
            return False
        return asks_what_was_sent(ref.function)

    def tested(self, test: ast.expr) -> Guards:
        """Return which fields a condition is about."""
        sent: set[str] = set()
        valued: set[str] = set()
        for node in ast.walk(test):
            match node:
                case ast.Compare(
                    left=ast.Constant(value=str() as name), ops=[ast.In() | ast.NotIn()]
                ):
                    sent.add(name)
                case ast.Compare(left=ast.Name(id=key), ops=[ast.In() | ast.NotIn()]) if (
                    key in self.keys
                ):
                    sent |= self.keys[key]
                case ast.Call(args=[ast.Constant(value=str() as name)]) if self._asks(node):
                    sent.add(name)
                case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call():
                    held = self.eval(node)
                    if held.body is None and not held.many:
                        valued |= held.fields | held.kept
                case _:
                    pass
        return Guards(frozenset(sent), frozenset(valued))


_CONVERSIONS: Final = frozenset(
    {
        *("json.dumps", "builtins.str", "builtins.list", "builtins.int", "builtins.dict"),
        *("builtins.float", "sqlalchemy.func.to_timestamp", "fastapi.encoders.jsonable_encoder"),
    }
)


_FUNC: Final = "sqlalchemy.func."
_VALIDATES: Final = frozenset({"model_validate", "parse_obj", "model_construct", "from_orm"})
"""Class methods that make a model of a dict, or of another object."""
_SENT: Final = frozenset({"model_fields_set", "__fields_set__"})


@remembered
def asks_what_was_sent(function: Function) -> bool:
    """Return whether a function looks at which fields a request has named."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in _SENT
        for part in function.node.body
        for node in ast.walk(part)
    )


def _filtered(given: Held, tests: list[ast.expr], key: str, value: str) -> Held:
    """Return what is left of a dump where only some of its pairs are taken."""
    for test in tests:
        if mentions(test, value):
            given = Held(kept=given.fields | given.kept, many=True)
        elif mentions(test, key):
            given = replace(given, fields=_chosen(given.fields, test, key))
    return given


def _chosen(fields: frozenset[str], test: ast.expr, key: str) -> frozenset[str]:
    """Return the fields for which a condition on the key holds; none where it asks more."""
    match test:
        case ast.Compare(left=ast.Name(id=asked), ops=[op], comparators=[other]) if asked == key:
            literal = isinstance(other, ast.Constant | ast.Set | ast.List | ast.Tuple)
            if literal and isinstance(op, ast.NotIn | ast.NotEq):
                return fields - _strings(other)
            return fields & _strings(other) if literal else NONE
        case _:
            return NONE


def _object_of(held: Held) -> Held:
    """Return what an object holds that is made of a dump, or of the body itself."""
    fields = held.fields if held.body is None else optional(held.body)
    members = {name: Held(fields=frozenset({name})) for name in fields}
    members |= {name: Held(kept=frozenset({name})) for name in held.kept}
    return _made_of(members)


def _made_of(members: Mapping[str, Held]) -> Held:
    if not members:
        return NOTHING
    fields = frozenset[str]().union(*(one.fields for one in members.values()))
    kept = frozenset[str]().union(*(one.kept for one in members.values()))
    return Held(fields=fields, kept=kept, members=members)


def _whole(call: ast.Call, held: Held) -> Held:
    """Return what a dump holds: of the body, or of an object that was made of it."""
    if held.body is not None:
        return _dumped(call, held.body)
    if held.members is None:
        return NOTHING
    if any(one.arg == "exclude_none" and _may_be(one.value) for one in call.keywords):
        return Held(kept=held.fields | held.kept, many=True)
    return Held(fields=held.fields, kept=held.kept, many=True)


def _dumped(call: ast.Call, body: Body) -> Held:
    """Return what `body.model_dump(...)` holds."""
    fields = optional(body)
    options = {one.arg: one.value for one in call.keywords}
    if None in options:
        return NOTHING
    if _may_be(options.get("exclude_none")) or _may_be(options.get("exclude_defaults")):
        return Held(kept=fields, many=True)
    if _may_be(options.get("exclude_unset")):
        return NOTHING
    for name, keeps in (("exclude", False), ("include", True)):
        if name in options:
            named = _strings(options[name])
            fields = fields & named if keeps else fields - named
    return Held(fields=fields, many=True)


def _may_be(option: ast.expr | None) -> bool:
    return option is not None and not (isinstance(option, ast.Constant) and not option.value)


def _strings(node: ast.expr) -> frozenset[str]:
    return frozenset(
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def _picked(owner: Held, key: ast.expr) -> Held:
    """Return what `dump["name"]` holds."""
    if not owner.many:
        return NOTHING
    if isinstance(key, ast.Constant):
        one = frozenset({str(key.value)})
        return Held(fields=owner.fields & one, kept=owner.kept & one)
    return replace(owner, many=False)
