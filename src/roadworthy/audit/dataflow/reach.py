"""What a function does by calling others: its calls, and those of what it calls."""

import ast
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeGuard

from roadworthy.audit.model.finding import Step
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function, Scope
from roadworthy.audit.source.nodes import written
from roadworthy.audit.source.ref import Ref

__all__ = [
    "Reached",
    "arguments",
    "by_name",
    "callee",
    "calls",
    "inner_functions",
    "may_reach",
    "reach",
    "steps",
]

HOPS = 3
"""How many calls are followed: further away, what is said is rarely true."""


@dataclass(slots=True, eq=False)  # not frozen: as many as calls, see `flow`
class Reached:
    """A call, what it calls as far as that is known, and how the code gets there."""

    call: Call
    ref: Ref | None
    scope: Function
    """The function that the call is written in."""
    chain: "tuple[Reached, ...]" = ()
    """The calls that lead there, from the outermost; empty for a function's own."""
    is_handed: bool = False
    """Whether it is made by a helper that was handed what is called."""
    constants: dict[str, object] | None = field(default=None, init=False, repr=False)
    """What `constant_conditions` has found of the parameters of what is called, to ask once."""

    @property
    def name(self) -> str:
        """Return the name of what is called; empty where it is not known."""
        return "" if self.ref is None else self.ref.name


@remembered
def calls(function: Function) -> tuple[Reached, ...]:
    """Return the calls in a function's own body, with what they call."""
    return tuple(
        Reached(call, names.resolve(call.node.func, function), function)
        for call in function.flow.calls
    )


def callee(reached: Reached) -> Function | None:
    """Return the function of the project that runs when a call is made, where it does.

    The coroutine of an `async def` that is not awaited does not run here; neither does
    a generator. A class runs its `__init__`.
    """
    ref = reached.ref
    if ref is None:
        return None
    function = ref.function
    if function is None and ref.cls is not None:
        member = names.member(ref, "__call__" if ref.is_instance else "__init__")
        function = None if member is None else member.function
    if function is None or function.is_generator:
        return None
    runs = not function.is_async or reached.call.awaited or _is_waited_for(reached)
    return function if runs else None


_WAITERS: Final = frozenset({"asyncio.gather", "asyncio.wait_for", "asyncio.shield"})
"""What runs the coroutines that it is given, where it is awaited."""


def _is_waited_for(reached: Reached) -> bool:
    """Return whether a coroutine is handed to `await asyncio.gather(...)`, or the like."""
    outer = reached.call.parent
    if not isinstance(outer, ast.Call) or not any(reached.call.node is one for one in outer.args):
        return False
    found = names.resolve(outer.func, reached.scope)
    if found is None or found.name not in _WAITERS:
        return False
    return any(one.node is outer and one.awaited for one in reached.scope.flow.calls)


_MOST_WAYS: Final = 12
"""As often is a function followed at most, each time with other constants or functions."""


def _always(_: Reached) -> bool:
    return True


def _alike(_: Reached, __: Function) -> Hashable:
    return None


def reach(
    function: Function,
    *,
    hops: int = HOPS,
    counts: Callable[[Reached], bool] = _always,
    differs: Callable[[Reached, Function], Hashable] = _alike,
) -> Iterator[Reached]:
    """Return the calls of a function, and of what it calls, to so many hops.

    Those that do not count are left out, with what they lead to. A function is followed once,
    or once for each way of calling it that `differs` tells apart.
    """
    yield from _reach(function, (), hops, _Way(counts, differs, {(id(function), None, None)}))


@remembered
def may_reach(function: Function, wanted: Callable[[Reached], object], hops: int = HOPS) -> bool:
    """Return whether `reach` may come to a wanted call; where not, nobody need ask.

    Each function is asked once for so many hops. One that calls its parameters may call any.
    """
    for one in calls(function):
        if wanted(one):
            return True
        called = callee(one) if hops else None
        if called is not None and (_runs(called) or may_reach(called, wanted, hops - 1)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Way:
    """Which calls are followed, and which have been."""

    counts: Callable[[Reached], bool]
    differs: Callable[[Reached, Function], Hashable]
    seen: set[tuple[int, tuple[int, int] | None, Hashable]]
    times: Counter[int] = field(default_factory=Counter[int])

    def is_new(self, reached: Reached, called: Function) -> bool:
        """Return whether a function has not been followed yet, and note that it is now."""
        node = reached.call.node
        at = (node.lineno, node.col_offset) if reached.is_handed or _runs(called) else None
        key = (id(called), at, self.differs(reached, called))
        if key in self.seen or (id(called), None, None) in self.seen:
            return False
        self.seen.add(key)
        self.times[id(called)] += 1
        return self.times[id(called)] <= _MOST_WAYS


def _reach(
    function: Function, chain: tuple[Reached, ...], hops: int, way: _Way
) -> Iterator[Reached]:
    for one in calls(function):
        here = Reached(one.call, one.ref, one.scope, chain)
        if not way.counts(here):
            continue
        here = _handed(here) or here
        yield here
        called = callee(here) if len(chain) < hops else None
        if called is not None and way.is_new(here, called):
            yield from _reach(called, (*here.chain, here), hops, way)


def _handed(here: Reached) -> Reached | None:
    """Return the call that a call of a parameter is, as if who hands it over made it."""
    name = here.call.node.func
    if not isinstance(name, ast.Name) or not here.chain:
        return None
    if not _is_param(name.id, here.scope):
        return None
    *before, outer = here.chain
    given = arguments(outer.call.node, here.scope, outer.ref).get(name.id)
    node = None if given is None else _as_call(given, here.call.node, outer.scope)
    if node is None:
        return None
    call = replace(here.call, node=node)
    ref = names.resolve(node.func, outer.scope)
    made = Reached(call, ref, outer.scope, tuple(before), is_handed=True)
    return _handed(made) or made


@remembered
def _runs(function: Function) -> frozenset[str]:
    """Return the parameters that a function calls, or hands to one that does."""
    known = set(_calls_itself(function))
    for one in calls(function):
        inner = None if one.ref is None else one.ref.function
        ran = frozenset[str]() if inner is None else _calls_itself(inner)
        if inner is not None and ran:
            given = arguments(one.call.node, inner, one.ref)
            known |= {value.id for name, value in given.items() if name in ran and _is_name(value)}
    return frozenset(name for name in known if _is_param(name, function))


@remembered
def _calls_itself(function: Function) -> frozenset[str]:
    """Return the parameters that a function calls: `do` of `def retried(do): return do()`."""
    called = (one.node.func for one in function.flow.calls)
    return frozenset(
        one.id for one in called if isinstance(one, ast.Name) and _is_param(one.id, function)
    )


def _is_name(node: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def _is_param(name: str, function: Function) -> bool:
    """Return whether a name is a parameter that is given no other value."""
    return function.param(name) is not None and name not in function.names


def _as_call(given: ast.expr, call: ast.Call, scope: Scope) -> ast.Call | None:
    """Return the call of something handed over: a name, a `partial`, what a lambda calls."""
    match given:
        case ast.Name() | ast.Attribute():
            made = ast.Call(given, call.args, call.keywords)
        case ast.Lambda(body=ast.Call() as body):
            return body
        case ast.Call(args=[first, *bound]) if _is_partial(given, scope):
            named = [*given.keywords, *call.keywords]
            made = ast.Call(first, [*bound, *call.args], named)
        case _:
            return None
    return ast.copy_location(made, given)


def _is_partial(call: ast.Call, scope: Scope) -> bool:
    found = names.resolve(call.func, scope)
    return found is not None and found.name == "functools.partial"


def by_name(call: ast.Call, scope: Scope) -> Function | None:
    """Return the only function that a call of something unknown can mean.

    It has that name and takes every argument by its name: `context.store.change(price=…)`.
    """
    if not isinstance(call.func, ast.Attribute):
        return None
    named = {one.arg for one in call.keywords if one.arg is not None}
    codebase = scope.module.codebase
    if len(named) < _TELLING:
        return None
    found = [
        function
        for path in codebase.defining(call.func.attr)
        if (module := codebase.module(path)) is not None
        for function in module.functions
        if function.name == call.func.attr and named <= {param.name for param in function.params}
    ]
    return found[0] if len(found) == 1 else None


_TELLING: Final = 2
"""As many named arguments tell which function is meant."""


def inner_functions(function: Function) -> Iterator[Function]:
    """Return a function and those that are defined in it, at any depth."""
    yield function
    for one in function.inner:
        yield from inner_functions(one)


def arguments(call: ast.Call, function: Function, ref: Ref | None = None) -> dict[str, ast.expr]:
    """Return what a call gives the parameters of a function, by their names."""
    filled = ref is None or ref.cls is not None or _by_instance(call) or _is_of_class(function)
    params = function.params[1:] if function.is_bound and filled else function.params
    given: dict[str, ast.expr] = {}
    for param, argument in zip(params, call.args, strict=False):
        if isinstance(argument, ast.Starred):
            break
        given[param.name] = argument
    given.update({one.arg: one.value for one in call.keywords if one.arg is not None})
    return given


def _is_of_class(function: Function) -> bool:
    """Return whether it is a class method, whose first parameter is filled in anyhow."""
    return any(
        isinstance(decorator, ast.Name) and decorator.id == "classmethod"
        for decorator in function.node.decorator_list
    )


def _by_instance(call: ast.Call) -> bool:
    """Return whether a method is called of something, rather than of its class."""
    func = call.func
    return isinstance(func, ast.Attribute) and not (
        isinstance(func.value, ast.Name) and func.value.id[:1].isupper()
    )


def steps(reached: Reached, start: str, scope: Scope) -> tuple[Step, ...]:
    """Return the flow from a function to a call, for a report."""
    node = scope.node if isinstance(scope, Function) else None
    first = Step(scope.module.path, node.lineno if node is not None else 1, start)
    way = [*reached.chain, reached]
    return (
        first,
        *(
            Step(one.scope.module.path, one.call.node.lineno, f"calls {_text(one.call.node)}")
            for one in way
        ),
    )


def _text(node: ast.Call) -> str:
    return f"{written(node.func)}()"
