"""What an expression holds of a request's body, sent or not.

Used by `omitted`, which follows it to where it is written.
"""

import ast
from dataclasses import dataclass, field, replace
from typing import Final

from roadworthy.audit import models, names
from roadworthy.audit.module import Function
from roadworthy.audit.routes import Body

__all__ = ["NOTHING", "Guards", "Held", "Holding", "optional"]

NONE: Final[frozenset[str]] = frozenset()


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
        )


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
                given = self.eval(value)
                tests = [ast.unparse(one) for one in generator.ifs]
                if any(name in text.replace("(", " ").split() for text in tests):
                    return Held(kept=given.fields | given.kept, many=True)
                whole = not tests or not any(key in text for text in tests)
                return given if whole else replace(given, fields=NONE)
            case _:
                return NOTHING

    def _result(self, node: ast.Call) -> Held:
        match node.func:
            case ast.Attribute(value=owner, attr=("model_dump" | "dict")):
                held = self.eval(owner)
                return NOTHING if held.body is None else _dumped(node, held.body)
            case ast.Attribute(value=owner, attr=("get" | "pop")) if node.args:
                return _picked(self.eval(owner), node.args[0])
            case ast.Attribute(value=owner, attr="copy"):
                return replace(self.eval(owner), body=None)
            case ast.Name(id=("dict" | "vars")) if len(node.args) == 1:
                held = self.eval(node.args[0])
                of_body = held.body is not None
                return _dumped(node, held.body) if of_body and held.body is not None else held
            case ast.Name(id="jsonable_encoder") if node.args:
                held = self.eval(node.args[0])
                return _dumped(node, held.body) if held.body is not None else held
            case _:
                return self._passed_on(node)

    def _passed_on(self, node: ast.Call) -> Held:
        """Return what conversions of one value hold: `json.dumps(body.tags)`."""
        ref = names.resolve(node.func, self.function)
        if len(node.args) == 1 and (ref is None or ref.name in _CONVERSIONS):
            name = ast.unparse(node.func)
            if ref is not None or name.startswith("func."):
                return self.eval(node.args[0])
        return NOTHING

    def _asks(self, call: ast.Call) -> bool:
        """`body.is_set("name")` asks what was sent, where that is what the method looks at."""
        ref = names.resolve(call.func, self.function)
        if ref is None or ref.function is None:
            return False
        return any(
            isinstance(node, ast.Attribute) and node.attr in {"model_fields_set", "__fields_set__"}
            for node in ast.walk(ref.function.node)
        )

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


def _dumped(call: ast.Call, body: Body) -> Held:
    """Return what `body.model_dump(...)` holds."""
    fields = optional(body)
    options = {one.arg: one.value for one in call.keywords}
    if None in options or _may_be(options.get("exclude_unset")):
        return NOTHING
    if _may_be(options.get("exclude_none")) or _may_be(options.get("exclude_defaults")):
        return Held(kept=fields, many=True)
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
