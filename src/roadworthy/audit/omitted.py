"""Follow what a request did not name to where its defaults are written.

The body of a PATCH is a model whose optional fields have defaults. From the route on, and
into the functions it calls, this keeps what every local name holds of them: the body, one
field, or a dict of many. A write of a field that nobody has tested writes its default over
what is stored; a write that is skipped where the value is None can never clear it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from roadworthy.audit import libraries, logs, made, names, reach
from roadworthy.audit.flow import Call
from roadworthy.audit.held import NOTHING, Guards, Held, Holding, asks_what_was_sent
from roadworthy.audit.module import Assigned, Function, bodies
from roadworthy.audit.reach import Reached
from roadworthy.audit.ref import Ref
from roadworthy.audit.routes import Route
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.nodes import last_name, words

__all__ = ["Trace", "Write", "writes"]


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A place where fields of a body are written to what is stored."""

    fields: frozenset[str]
    """Fields that are overwritten by their default."""
    kept: frozenset[str]
    """Fields that keep what is stored where they are None."""
    node: ast.AST
    scope: Function
    chain: tuple[Reached, ...]
    """The calls from the route to the function; empty in the route itself."""
    target: ast.expr | None
    """What is written to; `columns.stored` tells what it is."""

    @property
    def attribute(self) -> str | None:
        """Return the attribute that is given one value, where it is written out."""
        targets = self.node.targets if isinstance(self.node, ast.Assign) else []
        found = (one for one in targets if isinstance(one, ast.Attribute))
        return next((one.attr for one in found if one.value is self.target), None)

    @property
    def origin(self) -> tuple[ast.expr | None, Function]:
        """Return what is written to, and where: in the caller if it is a parameter."""
        target, scope = self.target, self.scope
        for reached in reversed(self.chain):
            param = scope.param(target.id) if isinstance(target, ast.Name) else None
            if param is None or param.annotation is not None:
                break
            given = reach.arguments(reached.call.node, scope, reached.ref)
            target, scope = given.get(param.name), reached.scope
        return target, scope


@remembered
def writes(route: Route) -> tuple[Write, ...]:
    """Return the writes of a route's bodies, also those in functions that it calls."""
    return tuple(_writes(route))


def _writes(route: Route) -> Iterator[Write]:
    if asks_what_was_sent(route.function):
        return
    for body in route.bodies:
        start = {body.name: Held(body=body)}
        trace = Trace(function=route.function, held=start, seen=frozenset({id(route.function)}))
        yield from trace.run()


@dataclass(slots=True, kw_only=True)
class Trace(Holding):
    """The way through one function, statement by statement."""

    chain: tuple[Reached, ...] = ()
    seen: frozenset[int] = frozenset()

    def run(self) -> Iterator[Write]:
        """Yield the writes of the function, and of those that it calls."""
        yield from self._block(self.function.node.body, Guards())

    def _block(self, body: list[ast.stmt], guards: Guards) -> Iterator[Write]:
        for statement in body:
            yield from self._statement(statement, guards)
            if isinstance(statement, ast.If) and _ends(statement.body):
                tested = self.tested(statement.test)
                if len(tested.valued | tested.sent) == 1:
                    refused = isinstance(statement.body[-1], ast.Raise)
                    guards = guards.both(tested.all_sent() if refused else tested)

    def _statement(self, statement: ast.stmt, guards: Guards) -> Iterator[Write]:
        match statement:
            case ast.If(test=test, body=body, orelse=orelse):
                yield from self._calls(test, guards)
                inner = guards.both(self.tested(test))
                yield from self._block(body, inner)
                yield from self._block(orelse, inner)
            case ast.For() | ast.AsyncFor():
                self._loop(statement)
                yield from self._calls(statement.iter, guards)
                yield from self._block(statement.body, guards)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                yield from self._assign(statement, guards)
            case ast.Delete(targets=targets):
                self._delete(targets)
            case _:
                yield from self._other(statement, guards)

    def _other(self, statement: ast.stmt, guards: Guards) -> Iterator[Write]:
        for child in ast.iter_child_nodes(statement):
            match child:
                case ast.expr():
                    yield from self._calls(child, guards)
                case ast.withitem(context_expr=context):
                    yield from self._calls(context, guards)
                case _:
                    pass
        for body in bodies(statement):
            yield from self._block(body, guards)

    def _loop(self, statement: ast.For | ast.AsyncFor) -> None:
        """Note what `for name, value in dump.items()` gives its names."""
        match statement.iter, statement.target:
            case (
                ast.Call(func=ast.Attribute(value=value, attr="items")),
                ast.Tuple(elts=[ast.Name(id=key), ast.Name(id=name)]),
            ):
                given = self.eval(value)
                if given.many:
                    self.held[name] = given.value()
                    self.keys[key] = given.fields | given.kept
            case _, ast.Name(id=name):
                self.held.pop(name, None)
            case _:
                pass

    def _delete(self, targets: list[ast.expr]) -> None:
        for target in targets:
            match target:
                case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key)):
                    if name in self.held:
                        self.held[name] = self.held[name].without(frozenset({key}))
                case _:
                    pass

    def _assign(
        self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign, guards: Guards
    ) -> Iterator[Write]:
        if statement.value is None:
            return
        yield from self._calls(statement.value, guards)
        value = self.eval(statement.value)
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            match target:
                case ast.Name(id=name):
                    self.held[name] = value
                    self._note_fresh(name, statement.value)
                case ast.Attribute(value=owner):
                    if self._is_stored(owner):
                        yield from self._write(value, statement, guards, owner)
                case ast.Subscript(value=owner):
                    yield from self._put(owner, value, statement, guards)
                case _:
                    pass

    def _put(
        self, owner: ast.expr, value: Held, statement: ast.stmt, guards: Guards
    ) -> Iterator[Write]:
        """`changes["name"] = body.name` gathers in a local dict; others are written to."""
        if isinstance(owner, ast.Name) and self._gathers(owner.id):
            unguarded = value.without(guards.sent | guards.valued)
            added = replace(unguarded, kept=unguarded.kept | (value.fields & guards.valued))
            self.held[owner.id] = self.held.get(owner.id, NOTHING).joined(replace(added, many=True))
        elif self._is_stored(owner) and self._is_read_from_store(owner):
            yield from self._write(value, statement, guards, owner)

    def _gathers(self, name: str) -> bool:
        """Return whether a local dict is there to gather values, rather than stored."""
        return name in self.fresh or not self.held.get(name, NOTHING).nothing

    def _is_read_from_store(self, owner: ast.expr) -> bool:
        """Return whether a dict is a stored one: an element of another, or of a module."""
        if not isinstance(owner, ast.Name):
            return True
        given = [one for one in self.function.names.get(owner.id, ()) if isinstance(one, Assigned)]
        return not given or any(_is_element(one.value) for one in given)

    def _note_fresh(self, name: str, value: ast.expr) -> None:
        self.fresh.discard(name)
        if made.is_new(value, self.function):
            self.fresh.add(name)

    def _is_stored(self, owner: ast.expr) -> bool:
        """Return whether assigning to an attribute of something changes what is stored."""
        root = owner
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if not isinstance(root, ast.Name):
            return isinstance(root, ast.Call) and not _is_of_request(owner, self.function)
        if (
            root.id in self.fresh
            or self.eval(owner).body is not None
            or self.eval(root).members is not None
        ):
            return False
        if _is_of_request(owner, self.function):
            return False
        if root.id in {"self", "cls"}:
            return _names_a_change(self.function.name) and owner is root
        return True

    def _write(
        self, value: Held, node: ast.AST, guards: Guards, target: ast.expr | None
    ) -> Iterator[Write]:
        fields = value.fields - guards.sent - guards.valued
        kept = (value.kept | (value.fields & guards.valued)) - guards.sent
        if fields or kept:
            yield Write(fields, kept, node, self.function, self.chain, target)

    # --- calls ---

    def _calls(self, node: ast.expr, guards: Guards) -> Iterator[Write]:
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                yield from self._call(call, guards)

    def _call(self, call: ast.Call, guards: Guards) -> Iterator[Write]:
        match call.func:
            case ast.Name(id="setattr") if len(call.args) == 3:  # noqa: PLR2004 - its arguments
                if self._is_stored(call.args[0]):
                    yield from self._write(self.eval(call.args[2]), call, guards, call.args[0])
                return
            case ast.Attribute(value=ast.Name(id=name), attr="pop") if (
                name in self.held and call.args
            ):
                self._delete([ast.Subscript(call.func.value, call.args[0], ast.Del())])
                return
            case ast.Attribute(value=owner, attr=attr) if attr in _WRITERS:
                written = self._given(call)
                if not written.nothing and self._writes_to(owner, attr, call):
                    yield from self._write(written, call, guards, self._table(owner))
                    return
            case _:
                pass
        yield from self._into(call, guards)

    def _writes_to(self, owner: ast.expr, attr: str, call: ast.Call) -> bool:
        """Return whether a method of that name writes, rather than asks or gathers."""
        if isinstance(owner, ast.Name) and not self.held.get(owner.id, NOTHING).nothing:
            return False
        ref = names.resolve(call.func, self.function)
        if attr in {"values", "where"}:
            return any(last_name(one.func) == "update" for one in _calls_in(owner))
        if ref is not None and ref.function is not None:
            return False  # followed instead
        if attr == "update" and isinstance(owner, ast.Name) and owner.id in self.fresh:
            return False
        if ref is None and attr == "update" and any(self.eval(one).body for one in call.args):
            return False  # the model as it is: what is taken from it is not known
        return ref is None or not _is_elsewhere(ref)

    def _table(self, owner: ast.expr) -> ast.expr | None:
        """Return the table of `update(Table).where(...)`, or what a method belongs to."""
        for node in ast.walk(owner):
            match node:
                case ast.Call(
                    func=ast.Name(id="update") | ast.Attribute(attr="update"), args=[one]
                ):
                    return one
                case ast.Call(keywords=[ast.keyword(arg="table", value=one)]):
                    return one
                case ast.Call(func=ast.Attribute(attr="query"), args=[one, *_]):
                    return one
                case _:
                    pass
        return owner

    def _given(self, call: ast.Call) -> Held:
        """Return what a call is given, by position or by name; of `{"$set": dump}`, too."""
        given = NOTHING
        for one in (*call.args, *(keyword.value for keyword in call.keywords)):
            held = self.eval(one)
            given = given.joined(replace(held, body=None))
        return given

    def _into(self, call: ast.Call, guards: Guards) -> Iterator[Write]:
        """Follow a call into a function of the project, with what it is given."""
        call = reach.in_thread(call, self.function) or call
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
            chain, seen = (*self.chain, reached), self.seen | {id(function)}
            yield from type(self)(function=function, held=held, chain=chain, seen=seen).run()

    def _hands_on(self, call: ast.Call) -> bool:
        """Return whether anything of the body is among what a call is given."""
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        return any(not self.eval(one).nothing for one in given)

    def _bound(
        self, call: ast.Call, function: Function, ref: Ref | None, guards: Guards
    ) -> dict[str, Held]:
        known = guards.sent
        bound: dict[str, Held] = {}
        for name, argument in reach.arguments(call, function, ref).items():
            held = self.eval(argument).without(known)
            kept = held.kept | (held.fields & guards.valued)
            bound[name] = replace(held, fields=held.fields - guards.valued, kept=kept)
        for keyword in call.keywords:
            if keyword.arg is None:
                bound |= self._spread(self.eval(keyword.value), function)
        return {name: held for name, held in bound.items() if not held.nothing}

    @staticmethod
    def _spread(held: Held, function: Function) -> dict[str, Held]:
        """Return what `**dump` gives a function's parameters."""
        if not held.many:
            return {}
        found: dict[str, Held] = {}
        for param in function.params:
            one = frozenset({param.name})
            found[param.name] = Held(fields=held.fields & one, kept=held.kept & one)
        options = function.node.args.kwarg
        if options is not None:
            named = frozenset(param.name for param in function.params)
            found[options.arg] = Held(fields=held.fields - named, kept=held.kept - named, many=True)
        return found


_WRITERS: Final = frozenset(
    {
        *("update", "values", "sqlmodel_update", "model_copy", "update_one", "update_many"),
        *("find_one_and_update", "update_from_dict", "update_or_create", "aupdate_or_create"),
    }
)
"""Methods that write what they are given to what is stored."""


def _ends(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def _is_element(value: ast.expr | None) -> bool:
    """Return whether a value was taken out of something: `items[key]`, `items.get(key)`."""
    match value:
        case ast.Subscript():
            return True
        case (
            ast.Call(func=ast.Attribute(attr=attr))
            | ast.Await(value=ast.Call(func=ast.Attribute(attr=attr)))
        ):
            return attr in {"get", "find_one", "fetch_one", "fetchone"}
        case _:
            return False


_TRAVELS: Final = frozenset({"state", "headers", "cookies", "query_params", "raw_headers"})
"""Attributes of requests and responses that nobody stores."""
_ARRIVES: Final = (
    *("fastapi.Request", "fastapi.Response", "fastapi.WebSocket", "starlette.websockets.WebSocket"),
    *("starlette.requests.HTTPConnection", "fastapi.BackgroundTasks", "logging.Logger"),
    *("starlette.responses.Response", "starlette.responses.JSONResponse", "contextvars.Context"),
)
_UNTYPED: Final = frozenset({"request", "response", "req", "resp", "context", "ctx", "websocket"})
"""What a parameter of a helper without a type is called that is one of these."""


def _is_of_request(node: ast.expr, function: Function) -> bool:
    """Return whether something is the request, the response, or of what travels with them."""
    part: ast.expr = node
    while True:
        if isinstance(part, ast.Attribute) and part.attr in _TRAVELS:
            return True
        ref = names.resolve(part, function)
        if names.is_a(ref, *_ARRIVES) or logs.is_log(part, function):
            return True
        if not isinstance(part, ast.Attribute | ast.Subscript):
            break
        part = part.value
    param = function.param(part.id) if isinstance(part, ast.Name) else None
    untyped = param is not None and param.annotation is None and param.default is None
    return untyped and param is not None and param.name in _UNTYPED


def _calls_in(node: ast.expr) -> Iterator[ast.Call]:
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def _is_elsewhere(ref: Ref) -> bool:
    """Return whether a method belongs to something that is not what the service stores."""
    heads = ("httpx.", "requests.", "aiohttp.", "hashlib.", "builtins.set", "contextvars.")
    return ref.name.startswith(heads) or ref.name in libraries.VAGUE


def _names_a_change(name: str) -> bool:
    return words(name)[:1] in [[verb] for verb in _CHANGES]


_CHANGES: Final = ("update", "patch", "set", "change", "modify", "edit", "apply")


def _as_call(node: ast.Call) -> Call:
    statement = ast.copy_location(ast.Expr(node), node)
    return Call(node, None, statement, awaited=True, dropped=False, parent=None)
