"""`Holding`: what each expression of a function holds of a request's body."""

import ast
from dataclasses import dataclass, field, replace
from typing import Final

from roadworthy.audit.analyses.body_fields import NOTHING, Guards, Held, dumped, made
from roadworthy.audit.source import annotations, names
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import is_none, mentions, walk

__all__ = ["SENT", "Holding", "asks"]

NONE: Final[frozenset[str]] = frozenset()
SENT: Final = frozenset({"model_fields_set", "__fields_set__"})
"""Attributes of a model that name the fields of the request."""
_DUMPS: Final = frozenset({"model_dump", "dict", "model_dump_json", "json"})
_COPIES: Final = frozenset({"copy", "model_copy", "deepcopy"})
_VALIDATES: Final = frozenset({"model_validate", "parse_obj", "from_orm", "model_construct"})
_DICTS: Final = frozenset({"builtins.dict", "builtins.vars", "dataclasses.asdict", "attrs.asdict"})
_CONVERSIONS: Final = frozenset(
    {
        *("json.dumps", "json.loads", "builtins.str", "builtins.list", "builtins.int"),
        *("builtins.float", "copy.copy", "copy.deepcopy", "builtins.tuple", "builtins.set"),
    }
)
"""Functions whose result has what they are given."""
_ENCODER: Final = "fastapi.encoders.jsonable_encoder"
_SQL: Final = "sqlalchemy.func."


@dataclass(slots=True)
class Holding:
    """What the names of a function hold."""

    function: Function
    held: dict[str, Held]
    body: frozenset[str]
    """The optional fields of the body."""
    fresh: set[str] = field(default_factory=set[str])
    """Names of objects that are made here: writing to them overwrites nothing."""
    keys: dict[str, Held] = field(default_factory=dict[str, Held])
    """Names that go through keys: what is held under them, in this turn of a loop."""
    results: dict[ast.Call, Held] = field(default_factory=dict[ast.Call, Held])
    """What calls of functions of the project return."""
    asked: bool = False
    """Whether a condition or a loop was about what was sent."""

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
                return self._picked(self.eval(value), key)
            case ast.BoolOp(op=ast.Or(), values=[first, *rest]):
                return self._fallback(self.eval(first), rest)
            case ast.IfExp():
                return self._choice(node)
            case ast.Dict(keys=keys, values=values):
                return self._dict(list(zip(keys, values, strict=True)))
            case ast.DictComp(key=key, value=value, generators=[generator]):
                return self._comprehension(key, value, generator)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self.eval(left).plain.joined(self.eval(right).plain)
            case ast.Call():
                return self._result(node)
            case _:
                return NOTHING

    def _attribute(self, owner: Held, attr: str) -> Held:
        if owner.model is None:
            return NOTHING
        if attr in SENT:
            return Held(asks=True)
        if attr == "__dict__":
            return self._whole(owner)
        return replace(owner.picked(attr), named=())

    def _whole(self, owner: Held) -> Held:
        """Return what a dict of all fields of an object holds."""
        if owner.model is None:
            return replace(owner, many=owner.many or not owner.nothing)
        return replace(owner.plain, fields=owner.fields | (owner.unset & self.body), many=True)

    def _fallback(self, first: Held, rest: list[ast.expr]) -> Held:
        """`body.name or item.name` keeps what is stored; `body.name or ""` does not."""
        if first.nothing:
            return NOTHING
        stored = any(
            isinstance(one, ast.Name | ast.Attribute | ast.Call | ast.Subscript) for one in rest
        )
        return first.valued(first.every) if stored else replace(first, nulls=NONE)

    def _choice(self, node: ast.IfExp) -> Held:
        tested = self.tested(node.test)
        fields = tested.valued | tested.sent
        body, orelse = self.eval(node.body), self.eval(node.orelse)
        value = body if orelse.nothing else body.joined(orelse)
        if not fields or not value.every & fields:
            return value
        other = node.orelse if body.every & fields else node.body
        if isinstance(other, ast.Constant):
            return value if other.value is None else replace(value, nulls=value.nulls - fields)
        return value.without(tested.sent).valued(tested.valued)

    def _dict(self, pairs: list[tuple[ast.expr | None, ast.expr]]) -> Held:
        """Return what a dict holds, whatever its keys: `{"$set": {"name": body.name}}`."""
        held = NOTHING
        for key, value in pairs:
            given = self.eval(value)
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and given.is_value:
                given = given.under(key.value)
            held = held.joined(given.plain)
        return replace(held, many=not held.nothing)

    # --- loops and comprehensions ---

    def looped(self, target: ast.expr, over: ast.expr) -> None:
        """Note what a loop gives its names: `for name, value in dump.items()`."""
        match target:
            case ast.Tuple(elts=[ast.Name(id=key), ast.Name(id=value)]):
                given = self._pairs(over)
                self.held[value] = replace(given, many=False)
                self.keys[key] = given
            case ast.Name(id=name):
                self.held.pop(name, None)
                self._names(name, over)
            case _:
                pass

    def _pairs(self, over: ast.expr) -> Held:
        """Return what the values are that a loop goes over, with their keys."""
        match over:
            case ast.Call(func=ast.Attribute(value=value, attr="items"), args=[]):
                return self.eval(value) if self.eval(value).many else NOTHING
            case ast.Call(func=ast.Name(id=("list" | "sorted" | "tuple")), args=[inner, *_]):
                return self._pairs(inner)
            case _:
                given = self.eval(over)  # a model is a sequence of pairs
                return NOTHING if given.model is None else self._whole(given)

    def _names(self, name: str, over: ast.expr) -> None:
        """Note what a name stands for that goes through names of fields."""
        given = self._keys(over)
        if given.asks:
            self.asked = True
        if given.asks or not given.nothing:
            self.keys[name] = given

    def _keys(self, over: ast.expr) -> Held:
        match over:
            case ast.Call(func=ast.Attribute(value=value, attr="keys")):
                return self._keys(value)
            case ast.Call(func=ast.Name(), args=[inner]):  # `list(...)`, `sorted(...)`
                return self._keys(inner)
            case ast.Call(func=ast.Attribute(value=value, attr="intersection")):
                return self._keys(value)
            case ast.BinOp(left=left, op=ast.BitAnd() | ast.Sub(), right=right):
                both = (self._keys(left), self._keys(right))
                return next((one for one in both if one.asks), NOTHING)
            case _:
                given = self.eval(over)
                return given if given.asks or given.many else NOTHING

    def _comprehension(self, key: ast.expr, value: ast.expr, generator: ast.comprehension) -> Held:
        """`{k: v for k, v in dump.items() if v is not None}` keeps what is stored."""
        inner = replace(self, held=dict(self.held), keys=dict(self.keys))
        inner.looped(generator.target, generator.iter)
        given = inner.eval(value)
        if given.nothing:
            return NOTHING
        held = Held(given.fields, given.kept, given.nulls, many=True, named=inner.named_by(key))
        for test in generator.ifs:
            held = inner.filtered(held, test, key)
        self.asked = self.asked or inner.asked
        return held

    def named_by(self, key: ast.expr) -> tuple[tuple[str, str], ...]:
        """Return the names that the variable of a loop goes through, where the code tells."""
        return self.keys[key.id].named if isinstance(key, ast.Name) and key.id in self.keys else ()

    def filtered(self, held: Held, test: ast.expr, key: ast.expr) -> Held:
        """Return what passes a condition on the keys, or on the values."""
        tested = self.tested(test)
        passed = tested.applied(held)
        if passed != held or not isinstance(key, ast.Name):
            return passed
        match test:
            case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]) if (
                name == key.id and _constants(right)
            ):
                keeps = isinstance(op, ast.In | ast.Eq)
                return held.only(_constants(right), keeps=keeps)
            case _:
                return replace(held, fields=NONE, nulls=NONE) if mentions(test, key.id) else held

    # --- calls ---

    def _result(self, node: ast.Call) -> Held:  # noqa: PLR0911 - a table
        if node in self.results:
            return self.results[node]
        match node.func:
            case ast.Attribute(value=owner, attr=attr) if attr in _DUMPS:
                held = self.eval(owner)
                return NOTHING if held.model is None else self._dumped(held, node)
            case ast.Attribute(value=owner, attr=("get" | "pop" | "__getitem__")) if node.args:
                return self._picked(self.eval(owner), node.args[0])
            case ast.Attribute(value=owner, attr=attr) if (
                attr in _COPIES and not (held := self.eval(owner)).nothing
            ):
                return held if held.model is not None else held.plain
            case ast.Attribute(value=owner, attr=attr) if attr in _VALIDATES and node.args:
                return self._made(owner, self._given(node))
            case ast.Attribute(attr=attr, value=owner) if attr in _VALIDATES:
                return self._made(owner, self._given(node))
            case _:
                return self._of_function(node)

    def _dumped(self, held: Held, node: ast.Call) -> Held:
        """Return a dump; where the model has its own way to dump, what that returns."""
        ref = names.resolve(node.func, self.function)
        own = ref is not None and ref.function is not None
        return NOTHING if own else dumped(held, node, self.body)

    def _of_function(self, node: ast.Call) -> Held:
        ref = names.resolve(node.func, self.function)
        if ref is not None and ref.cls is not None and not ref.is_instance:
            return self._made(node.func, self._given(node))
        name = "" if ref is None else ref.name
        if name == _ENCODER and node.args:
            held = self.eval(node.args[0])
            return held if held.model is None else dumped(held, node, self.body)
        if name == "builtins.getattr" and len(node.args) > 1:
            return self._got(self.eval(node.args[0]), node.args[1])
        if name in _DICTS:
            return self._as_dict(node)
        return self._passed_on(node, name)

    def _as_dict(self, node: ast.Call) -> Held:
        """`dict(body)`, `vars(body)`, `dict(name=body.name)`, `dict(pair for pair in ...)`."""
        match node.args:
            case [ast.GeneratorExp(elt=ast.Tuple(elts=[key, value]), generators=[generator])]:
                return self._comprehension(key, value, generator)
            case [one]:
                more = self._dict([(_named(k), k.value) for k in node.keywords])
                whole = self._whole(self.eval(one))
                return whole if more.nothing else whole.joined(more)
            case _:
                return self._dict([(_named(one), one.value) for one in node.keywords])

    def _given(self, node: ast.Call) -> Held:
        """Return what a constructor is given, by name or by `**dump`."""
        named = self._dict([(_named(one), one.value) for one in node.keywords])
        for one in _each(node.args):
            held = self.eval(one)
            named = named.joined(self._whole(held) if held.model is not None else held.plain)
        return named

    def _made(self, cls: ast.expr, given: Held) -> Held:
        ref = names.resolve(cls, self.function)
        if given.nothing or ref is None or ref.cls is None:
            return NOTHING
        return made(ref.cls, given)

    def _passed_on(self, node: ast.Call, name: str) -> Held:
        """Return what conversions of one value hold: `json.dumps(body.tags)`."""
        if name == f"{_SQL}coalesce" and node.args:
            return self._fallback(self.eval(node.args[0]), node.args[1:])
        if len(node.args) == 1 and (name in _CONVERSIONS or name.startswith(_SQL)):
            return self.eval(node.args[0])
        return NOTHING

    def _got(self, owner: Held, key: ast.expr) -> Held:
        """Return what `getattr(body, name)` gives."""
        if owner.model is None:
            return NOTHING
        if isinstance(key, ast.Constant):
            return self._attribute(owner, str(key.value))
        whole = self._whole(owner)
        return replace(self._picked(whole, key), many=False)

    def _picked(self, owner: Held, key: ast.expr) -> Held:
        """Return what `dump["name"]` holds."""
        if not owner.many:
            return NOTHING
        if isinstance(key, ast.Constant):
            return owner.picked(str(key.value))
        sent = isinstance(key, ast.Name) and self.keys.get(key.id, NOTHING).asks
        return replace(owner, many=False, fields=NONE if sent else owner.fields)

    # --- conditions ---

    def tested(self, test: ast.expr) -> Guards:
        """Return which fields a condition is about."""
        sent: set[str] = set()
        valued: set[str] = set()
        for node in walk(test):
            match node:
                case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
                    sent |= self._asked(left, right)
                case ast.Call(args=[ast.Constant(value=str() as name)]) if self._asks(node):
                    sent.add(name)
                case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call():
                    held = self.eval(node)
                    if held.is_value:
                        valued |= held.every
                case _:
                    pass
        self.asked = self.asked or bool(sent)
        return Guards(frozenset(sent), frozenset(valued))

    def skip_nulls(self, test: ast.expr) -> None:
        """Note `if key in REQUIRED and value is None: continue`: those are never null below."""
        if not (isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And)):
            return
        for name, held in list(self.held.items()):
            if held.is_value and any(_is_none_test(one, name) for one in test.values):
                skipped = held.nulls & frozenset[str]().union(*map(self._key_of, test.values))
                kept = held.kept | skipped
                self.held[name] = replace(held, nulls=held.nulls - skipped, kept=kept)

    def _key_of(self, test: ast.expr) -> frozenset[str]:
        """Return the names that a condition compares a key with."""
        match test:
            case ast.Compare(
                left=ast.Name(id=key), ops=[ast.In() | ast.Eq()], comparators=[right]
            ) if key in self.keys:
                given = annotations.definition(right, self.function)
                value = None if given is None else given[0].value
                return _constants(right if value is None else value)
            case _:
                return NONE

    def _asked(self, left: ast.expr, right: ast.expr) -> frozenset[str]:
        """Return the fields of which `left in right` says that they were sent."""
        among = self._keys(right)
        if among.nothing and not (self._is_json(right) or self._is_unknown(right)):
            return NONE
        match left:
            case ast.Constant(value=str() as name):
                field_ = among.field(name)
                return frozenset() if field_ in among.fields else frozenset({field_})
            case ast.Name(id=name) if name in self.keys:
                return self.keys[name].every - among.fields
            case _:
                return NONE

    def _is_unknown(self, node: ast.expr) -> bool:
        """Return whether nobody can tell what a collection is; it may be what was sent."""
        named = isinstance(node, ast.Name | ast.Attribute | ast.Call)
        return named and names.resolve(node, self.function) is None

    def _is_json(self, node: ast.expr) -> bool:
        """Return whether an expression is the request's JSON, as it was sent."""
        made_ = annotations.definition(node, self.function)
        value = node if made_ is None or made_[0].value is None else made_[0].value
        match value:
            case ast.Await(value=ast.Call(func=ast.Attribute(value=owner, attr="json"))):
                return names.is_a(names.resolve(owner, self.function), "fastapi.Request")
            case _:
                return False

    def _asks(self, call: ast.Call) -> bool:
        """`body.is_set("name")` asks what was sent, where that is what the method looks at."""
        ref = names.resolve(call.func, self.function)
        return ref is not None and ref.function is not None and asks(ref.function)


def _is_none_test(test: ast.expr, name: str) -> bool:
    match test:
        case ast.Compare(left=ast.Name(id=left), ops=[ast.Is() | ast.Eq()], comparators=[right]):
            return left == name and is_none(right)
        case _:
            return False


def asks(function: Function) -> bool:
    """Return whether a function looks at what was sent."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in SENT for node in walk(function.node)
    )


def _each(given: list[ast.expr]) -> list[ast.expr]:
    """Return arguments, and the entries of those that are lists: `[{"id": 1, **dump}]`."""
    return [part for one in given for part in (one.elts if isinstance(one, ast.List) else [one])]


def _named(keyword: ast.keyword) -> ast.expr | None:
    return None if keyword.arg is None else ast.Constant(keyword.arg)


def _constants(node: ast.expr) -> frozenset[str]:
    """Return the strings of `"id"`, `{"id", "kind"}` or `("id",)`."""
    parts = node.elts if isinstance(node, ast.Set | ast.List | ast.Tuple) else [node]
    found = [one.value for one in parts if isinstance(one, ast.Constant)]
    return frozenset(str(one) for one in found) if len(found) == len(parts) else NONE
