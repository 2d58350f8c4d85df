"""Follow what a request did not name to where its defaults are written.

The body of a PATCH is a model whose optional fields have defaults. From the route on, and
into the functions it calls, this keeps what every local name holds of them: the body, one
field, a dict of many, or an object that is made of them. A write of a field that nobody has
tested writes its default over what is stored; a write that is skipped where the value is
None can never clear it; a write of a null that was sent may meet what is never null.
"""

# pyright: reportUnknownVariableType=false

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from roadworthy.audit.analyses.assigned_values import chosen, pairs, set_to_none
from roadworthy.audit.analyses.body_fields import NOTHING, Guards, Held, of_body
from roadworthy.audit.analyses.body_values import SENT, Holding, asks
from roadworthy.audit.analyses.columns import Stored, stored
from roadworthy.audit.analyses.writers import (
    Given,
    Target,
    is_kept,
    is_stored,
    keeps_own_state,
    target_of,
    writes_to,
)
from roadworthy.audit.dataflow import made, reach
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.dataflow.starters import in_thread
from roadworthy.audit.fastapi.routes import Body, Route
from roadworthy.audit.source import loggers, names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function, bodies
from roadworthy.audit.source.nodes import last_name, mentions, walk
from roadworthy.audit.source.ref import Ref

__all__ = ["Write", "writes"]

_SETATTR_ARGUMENTS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A place where fields of a body are written to what is stored."""

    fields: frozenset[str]
    """Fields that are overwritten by their default."""
    kept: frozenset[str]
    """Fields that keep what is stored where they are None."""
    nulls: frozenset[str]
    """Fields of which a null that the request has sent is written."""
    node: ast.AST
    scope: Function
    chain: tuple[Reached, ...]
    """The calls from the route to the function; empty in the route itself."""
    target: Stored | None
    """What is written to, where that is known."""
    columns: tuple[tuple[str, str], ...] = ()
    """The names under which fields are stored, where they differ: (its name, the field)."""

    def column(self, name: str) -> str:
        """Return the name under which a field of the body is stored."""
        return next((called for called, of in self.columns if of == name), name)

    def takes_null(self, name: str) -> bool | None:
        """Return whether a field of the body can be null in storage, where that is known."""
        return None if self.target is None else self.target.takes_null(self.column(name))

    def wants_null(self, name: str) -> bool:
        """Return whether null is a value of a field in storage, and not only allowed."""
        return self.target is not None and self.target.wants_null(self.column(name))


@remembered
def writes(route: Route) -> tuple[Write, ...]:
    """Return the writes of a route's bodies, also those in functions that it calls."""
    return tuple(one for body in route.bodies for one in _writes(route, body))


def _writes(route: Route, body: Body) -> list[Write]:
    start = of_body(body.model)
    trace = _Trace(
        function=route.function,
        held={body.name: start},
        body=start.unset,
        seen=frozenset({id(route.function)}),
    )
    found = list(trace.run())
    if not trace.asked and _asks_what_was_sent(route.function):
        return []  # in a way that is not understood here
    return found


def _asks_what_was_sent(function: Function) -> bool:
    """Return whether a route looks at `model_fields_set`, other than to log it."""
    told = {
        id(node)
        for call in function.flow.calls
        if isinstance(call.node.func, ast.Attribute)
        and loggers.is_log(call.node.func.value, function)
        for node in walk(call.node)
    }
    return any(
        isinstance(node, ast.Attribute) and node.attr in SENT and id(node) not in told
        for node in walk(function.node)
    )


@dataclass(slots=True, kw_only=True)
class _Trace(Holding):
    """The way through one function, statement by statement."""

    chain: tuple[Reached, ...] = ()
    seen: frozenset[int] = frozenset()
    given: Given = field(default_factory=dict[str, Target])
    """What parameters stand for where the function is called."""
    returned: Held = NOTHING
    refused: frozenset[str] = frozenset()
    """Fields whose null is refused by here."""

    def run(self) -> Iterator[Write]:
        yield from self._block(self.function.node.body, Guards())

    def _block(self, body: list[ast.stmt], guards: Guards) -> Iterator[Write]:
        for statement in body:
            yield from self._statement(statement, guards)
            if isinstance(statement, ast.If) and _ends(statement.body):
                guards = guards.both(self._left(statement))
                self.skip_nulls(statement.test)

    def _left(self, statement: ast.If) -> Guards:
        """Return what holds behind `if body.title is None: raise`, or `continue`."""
        tested = self.tested(statement.test)
        refused = isinstance(statement.body[-1], ast.Raise)
        if refused and _asks_for_none(statement.test):
            self.refused |= self._mentioned(statement.test)
        alone = not isinstance(statement.test, ast.BoolOp)
        if not (alone or len(tested.valued | tested.sent) == 1):
            return Guards()
        return tested.all_sent() if refused else tested

    def _mentioned(self, test: ast.expr) -> frozenset[str]:
        """Return the fields that a condition asks about, alone or in a dict of them."""
        held = [self.eval(node) for node in walk(test) if isinstance(node, ast.expr)]
        return frozenset().union(*(one.every for one in held if one.many or one.is_value))

    def _statement(self, statement: ast.stmt, guards: Guards) -> Iterator[Write]:
        match statement:
            case ast.If():
                yield from self._branches(statement, guards)
            case ast.For() | ast.AsyncFor():
                yield from self._calls(statement.iter, guards)
                self.looped(statement.target, statement.iter)
                yield from self._block(statement.body, guards)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                yield from self._assign(statement, guards)
            case ast.Delete(targets=targets):
                self._delete(targets)
            case _:
                yield from self._other(statement, guards)

    def _branches(self, statement: ast.If, guards: Guards) -> Iterator[Write]:
        """Go both ways, and keep what either leaves behind."""
        yield from self._calls(statement.test, guards)
        inner = guards.both(self.tested(statement.test))
        never = self._never(statement.test)
        before = dict(self.held)
        if never is not True:
            yield from self._block(statement.body, inner)
        first, self.held = self.held, dict(before)
        for name in set_to_none(statement.orelse) & first.keys():
            first[name] = first[name].emptied(self.body)
        if never is not False:
            yield from self._block(statement.orelse, inner)
        only_first = _ends(statement.orelse) and not _ends(statement.body)
        if never is False or (never is None and only_first):
            self.held = first
        elif never is None and not _ends(statement.body):
            self.held = _after(before, first, self.held)

    def _never(self, test: ast.expr) -> bool | None:
        """Return True where a branch is not taken by its type, False where the other is not."""
        match test:
            case ast.Call(func=ast.Name(id="isinstance"), args=[one, kind]):
                held = self.eval(one)
                asked = names.resolve(kind, self.function)
                if asked is None or not (held.many or held.model is not None):
                    return None
                return held.many != (asked.name == "builtins.dict")
            case _:
                return None

    def _other(self, statement: ast.stmt, guards: Guards) -> Iterator[Write]:
        for child in ast.iter_child_nodes(statement):
            match child:
                case ast.expr():
                    yield from self._calls(child, guards)
                case ast.withitem(context_expr=context):
                    yield from self._calls(context, guards)
                case _:
                    pass
        if isinstance(statement, ast.Return) and statement.value is not None:
            value = guards.applied(self.eval(statement.value))
            self.returned = value.either(self.returned) if not value.nothing else self.returned
        for body in bodies(statement):
            yield from self._block(body, guards)

    def _delete(self, targets: list[ast.expr]) -> None:
        for target in targets:
            match target:
                case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key)):
                    if name in self.held:
                        gone = frozenset({key})
                        self.held[name] = self.held[name].only(gone, keeps=False)
                case _:
                    pass

    def _assign(
        self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign, guards: Guards
    ) -> Iterator[Write]:
        if statement.value is None:
            return
        yield from self._calls(statement.value, guards)
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            for one, value in pairs(target, statement.value):
                yield from self._to(one, value, statement, guards)

    def _to(
        self, target: ast.expr, given: ast.expr, statement: ast.stmt, guards: Guards
    ) -> Iterator[Write]:
        value = self.eval(given)
        match target:
            case ast.Name(id=name) if isinstance(statement, ast.AugAssign):
                yield from self._merged(target, name, value, statement, guards)
            case ast.Name(id=name):
                before = guards.applied(self.held.get(name, NOTHING))
                changed = value.nothing and mentions(given, name)
                self.held[name] = before.changed() if changed else guards.applied(value)
                self._note_fresh(name, given)
            case ast.Attribute(value=owner, attr=attr):
                if self._is_stored(owner, attr):
                    left = chosen(value, given, guards)
                    yield from self._write(left, statement, guards, owner, attr)
            case ast.Subscript(value=owner, slice=key):
                yield from self._put(owner, key, value, statement, guards)
            case _:
                pass

    def _merged(
        self, target: ast.Name, name: str, value: Held, statement: ast.stmt, guards: Guards
    ) -> Iterator[Write]:
        """`changes |= dump` gathers; `item |= dump` writes where `item` is stored."""
        if self._gathers(name):
            self.held[name] = self.held.get(name, NOTHING).joined(guards.applied(value).plain)
        elif value.many and is_kept(target, self.function):
            yield from self._write(value, statement, guards, target)

    def _put(
        self, owner: ast.expr, key: ast.expr, value: Held, statement: ast.stmt, guards: Guards
    ) -> Iterator[Write]:
        """`changes["name"] = body.name` gathers in a local dict; others are written to."""
        name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
        if isinstance(owner, ast.Name) and self._gathers(owner.id):
            added = guards.applied(value)
            if name is not None and added.is_value:
                added = added.under(name)
            before = self.held.get(owner.id, NOTHING)
            if name is not None:
                before = before.only(frozenset({name}), keeps=False)
            self.held[owner.id] = before.joined(replace(added.plain, many=True))
        elif self._is_stored(owner) and is_kept(owner, self.function):
            yield from self._write(value, statement, guards, owner, name)

    def _gathers(self, name: str) -> bool:
        """Return whether a local dict is there to gather values, rather than stored."""
        return name in self.fresh or not self.held.get(name, NOTHING).nothing

    def _note_fresh(self, name: str, value: ast.expr) -> None:
        self.fresh.discard(name)
        if made.is_new(value, self.function):
            self.fresh.add(name)

    def _is_stored(self, owner: ast.expr, attr: str | None = None) -> bool:
        """Return whether assigning to an attribute of something changes what is stored."""
        held = self.eval(owner)
        if held.model is not None and not made.is_row(held.model):
            return False
        if attr is not None and keeps_own_state(owner, attr, self.function):
            return True
        return is_stored(owner, self.function, self.fresh, self.given)

    def _write(
        self,
        value: Held,
        node: ast.AST,
        guards: Guards,
        target: ast.expr | None,
        name: str | None = None,
    ) -> Iterator[Write]:
        if value.asks:
            return
        left = self._known(guards.applied(value))
        if value.clears:
            left = replace(left, kept=frozenset())
        if not left.every:
            return
        columns = value.named
        if name is not None and len(value.every) == 1:
            columns = tuple((name, one) for one in value.every)
        where = self._target(target)
        yield Write(
            left.fields, left.kept, left.nulls, node, self.function, self.chain, where, columns
        )

    def _target(self, target: ast.expr | None) -> Stored | None:
        """Return what is written to, also where the caller knows better what it gives."""
        found = stored(target, self.function)
        if found is None and isinstance(target, ast.Name) and target.id in self.given:
            return stored(*self.given[target.id])
        return found

    # --- calls ---

    def _calls(self, node: ast.expr, guards: Guards) -> Iterator[Write]:
        for call in reversed(list(walk(node))):  # what is given is made before
            if isinstance(call, ast.Call):
                yield from self._call(call, guards)

    def _call(self, call: ast.Call, guards: Guards) -> Iterator[Write]:
        match call.func:
            case ast.Name(id="setattr") if len(call.args) == _SETATTR_ARGUMENTS:
                yield from self._setattr(call, guards)
            case ast.Attribute(value=ast.Name(id=name), attr="pop") if (
                name in self.held and call.args
            ):
                self._delete([ast.Subscript(call.func.value, call.args[0], ast.Del())])
            case ast.Attribute(value=ast.Name(id=name), attr="update") if self._gathers(name):
                self._gather(name, call, guards)
            case ast.Attribute(value=owner) if (given := self._written(call, owner)) is not None:
                where = target_of(owner, call, self.function)
                yield from self._write(given, call, guards, where)
            case _:
                yield from self._into(call, guards)

    def _setattr(self, call: ast.Call, guards: Guards) -> Iterator[Write]:
        owner, key, value = call.args
        name = str(key.value) if isinstance(key, ast.Constant) else None
        if self._is_stored(owner):
            yield from self._write(self.eval(value), call, guards, owner, name)

    def _gather(self, name: str, call: ast.Call, guards: Guards) -> None:
        """Add what `changes.update(...)` is given to what the dict holds."""
        added = guards.applied(self._given(call))
        joined = self.held.get(name, NOTHING).joined(added.plain)
        self.held[name] = replace(joined, many=True)

    def _written(self, call: ast.Call, owner: ast.expr) -> Held | None:
        """Return what a method is given of the body, None where it writes nothing of it."""
        given = self._given(call)
        writes = writes_to(call, owner, self.function, self.fresh)
        is_written = not given.nothing and writes and not self._decides_itself(call)
        return given if is_written else None

    def _decides_itself(self, call: ast.Call) -> bool:
        """Return whether who is not known gets the whole model, and may ask what was sent."""
        if last_name(call.func) not in _ASKERS:
            return False
        given = [*call.args, *(one.value for one in call.keywords)]
        return any(self.eval(one).model is not None for one in given)

    def _into(self, call: ast.Call, guards: Guards) -> Iterator[Write]:
        """Follow a call into a function of the project, with what it is given."""
        outer = call
        call = in_thread(call, self.function) or call
        if len(self.chain) > reach.HOPS or not self._hands_on(call):
            return
        ref = names.resolve(call.func, self.function)
        reached = Reached(_as_call(call), ref, self.function, self.chain)
        function = reach.callee(reached)
        if function is None and ref is None:
            function = reach.by_name(call, self.function)
        if function is None or id(function) in self.seen or function.name == "__init__":
            return
        held = self._bound(call, function, ref, guards)
        if held:
            yield from self._follow(outer, call, reached, function, held)

    def _follow(
        self, outer: ast.Call, call: ast.Call, reached: Reached, function: Function, held: "_Names"
    ) -> Iterator[Write]:
        trace = _Trace(
            function=function,
            held=held,
            body=self.body,
            chain=(*self.chain, reached),
            seen=self.seen | {id(function)},
            given=self._targets(call, function, reached.ref),
        )
        yield from trace.run()
        self.results[outer] = trace.returned
        self.refused |= trace.refused
        self.asked = self.asked or trace.asked or asks(function)

    def _targets(self, call: ast.Call, function: Function, ref: Ref | None) -> Given:
        """Return what the parameters of a function stand for, as its caller sees them."""
        found: Given = {}
        for name, argument in reach.arguments(call, function, ref).items():
            inner = argument.id if isinstance(argument, ast.Name) else ""
            found[name] = self.given.get(inner, (argument, self.function))
        if function.is_bound and isinstance(call.func, ast.Attribute) and function.params:
            found[function.params[0].name] = (call.func.value, self.function)
        return found

    def _hands_on(self, call: ast.Call) -> bool:
        """Return whether anything of the body is among what a call is given."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        return any(not self.eval(one).nothing for one in given)

    def _bound(
        self, call: ast.Call, function: Function, ref: Ref | None, guards: Guards
    ) -> "_Names":
        bound: _Names = {}
        for name, argument in reach.arguments(call, function, ref).items():
            bound[name] = guards.applied(self.eval(argument))
        if function.is_bound and isinstance(call.func, ast.Attribute) and function.params:
            bound[function.params[0].name] = self.eval(call.func.value)
        for keyword in call.keywords:
            if keyword.arg is None:
                bound |= self._spread(self.eval(keyword.value), function)
        known = {name: self._known(held) for name, held in bound.items()}
        return {name: held for name, held in known.items() if not held.nothing}

    def _known(self, held: Held) -> Held:
        """Return it without the nulls that were refused before."""
        return replace(held, nulls=held.nulls - self.refused)

    @staticmethod
    def _spread(held: Held, function: Function) -> "_Names":
        """Return what `**dump` gives a function's parameters."""
        if not held.many:
            return {}
        found = {param.name: held.picked(param.name) for param in function.params}
        options = function.node.args.kwarg
        if options is not None:
            found[options.arg] = held.only(frozenset(found), keeps=False)
        return found


_Names = dict[str, Held]
_ASKERS: Final = frozenset({"update", "update_or_create", "aupdate", "aupdate_or_create"})
"""Methods of repositories too, which take a model and know what it was given."""


def _after(before: "_Names", first: "_Names", second: "_Names") -> "_Names":
    """Return what names hold behind two branches."""
    after = dict(before)
    for name in first.keys() | second.keys():
        old = before.get(name, NOTHING)
        one, other = first.get(name, NOTHING), second.get(name, NOTHING)
        changed = [held for held in (one, other) if held != old]
        after[name] = changed[0] if len(changed) == 1 else one.either(other)
    return after


def _ends(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def _asks_for_none(test: ast.expr) -> bool:
    return any(isinstance(one, ast.Constant) and one.value is None for one in walk(test))


def _as_call(node: ast.Call) -> Call:
    statement = ast.copy_location(ast.Expr(node), node)
    return Call(node, None, statement, awaited=True, dropped=False, parent=None)
