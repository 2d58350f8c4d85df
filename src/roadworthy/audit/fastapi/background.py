"""Work after the answer: which tasks are added, and what becomes of errors."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow import caught
from roadworthy.audit.dataflow.blocking_calls import outside
from roadworthy.audit.dataflow.reach import Reached, arguments, calls, reach
from roadworthy.audit.dataflow.starters import Runs, starts
from roadworthy.audit.dataflow.values import dotted
from roadworthy.audit.source import exceptions, names
from roadworthy.audit.source.flow import Event
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, written
from roadworthy.audit.source.ref import Ref

__all__ = ["Task", "first_unhandled", "handles_all", "is_of_cache", "keeps_errors", "tasks"]

_PLAIN: Final = frozenset({"staticmethod", "classmethod", "override", "inject", "validate_call"})


@dataclass(frozen=True, eq=False)
class Task:
    """A call that adds a background task."""

    reached: Reached
    target: ast.expr
    """What will be called."""
    ref: Ref | None
    given: tuple[ast.expr, ...]
    """What it will be called with."""

    @property
    def call(self) -> ast.Call:
        """Return the call that adds it."""
        return self.reached.call.node

    @property
    def function(self) -> Function | None:
        """Return the function of the project that will run."""
        return None if self.ref is None else self.ref.function

    @property
    def text(self) -> str:
        """Return what will be called, as it is written."""
        return f"{written(self.target)}()"[:60]


@remembered
def tasks(function: Function) -> tuple[Task, ...]:
    """Return the background tasks that a function adds."""
    return tuple(_tasks(function))


def _tasks(function: Function) -> Iterator[Task]:
    if b"ackgroundTask" not in function.module.source:
        return
    for reached in calls(function):
        node = reached.call.node
        if (
            starts(reached.ref, Runs.AFTERWARDS)
            and node.args
            and not isinstance(node.args[0], ast.Starred)
        ):
            ref = names.resolve(node.args[0], function)
            named = (one.value for one in node.keywords)
            yield Task(reached, node.args[0], ref, (*node.args[1:], *named))
        elif (target := _handed_on(reached)) is not None:
            named = (one.value for one in node.keywords)
            given = tuple(one for one in (*node.args, *named) if one is not target)
            yield Task(reached, target, names.resolve(target, function), given)


def _handed_on(reached: Reached) -> ast.expr | None:
    """Return the function that a helper is given, and adds as a task."""
    helper = None if reached.ref is None else reached.ref.function
    name = "" if helper is None else _added(helper)
    if helper is None or not name:
        return None
    return arguments(reached.call.node, helper, reached.ref).get(name)


@remembered
def _added(function: Function) -> str:
    """Return the parameter that a function adds as a task; empty where it adds none."""
    for reached in calls(function) if _MARK in function.module.source else ():
        match reached.call.node.args:
            case [ast.Name(id=name), *_] if starts(reached.ref, Runs.AFTERWARDS):
                if function.param(name) is not None and name not in function.names:
                    return name
            case _:
                pass
    return ""


_MARK: Final = b"ackgroundTask"


def handles_all(function: Function) -> bool:
    """Return whether a function, or a decorator of it, takes any error and keeps it."""
    return _has_broad_handler(function) or _is_wrapped(function)


def first_unhandled(function: Function) -> Reached | None:
    """Return a call of a task that may fail with nothing to handle that.

    What does more than look into a cache, or empty it, comes first.
    """
    if handles_all(function):
        return None
    failing = (one for one in reach(function) if _may_fail(one) and not _is_handled(one))
    first = next(failing, None)
    if first is None or not is_of_cache(first):
        return first
    return next((one for one in failing if not is_of_cache(one)), first)


def is_of_cache(reached: Reached) -> bool:
    """Return whether a call asks Redis for what it may lose at any time anyhow."""
    return reached.name.startswith(_CACHES) and reached.name.rpartition(".")[2] in _CACHED


_CACHES: Final = ("redis.Redis.", "redis.asyncio.Redis.", "aioredis.")
_CACHED: Final = frozenset(
    {
        *("get", "mget", "getex", "set", "setex", "mset", "delete", "unlink", "expire", "exists"),
        *("ttl", "scan", "scan_iter", "keys", "flushdb", "ping", "hget", "hgetall", "smembers"),
    }
)
"""Commands of a cache; of lists, streams and channels, what is lost was work."""


def _raised(reached: Reached) -> tuple[str, ...]:
    """Return what a call that may fail raises; nothing where that is not known."""
    keywords = {word.arg: word.value for word in reached.call.node.keywords}
    asks = {"check", "timeout"} & keywords.keys()
    found = exceptions.raised_by(reached.name, checked=bool(asks))
    if found == (_REQUEST,) and _asks_status(reached.scope):
        return (_STATUS,)
    return found


_REQUEST: Final = "httpx.RequestError"
_STATUS: Final = "httpx.HTTPError"


def _asks_status(function: Function) -> bool:
    """Return whether a function makes an exception of an answer's status."""
    return any(last_name(one.node.func) == "raise_for_status" for one in function.flow.calls)


def _may_fail(reached: Reached) -> bool:
    if outside(reached):
        return True
    func = reached.call.node.func
    if not isinstance(func, ast.Attribute):
        return False
    owner = names.resolve(func.value, reached.scope)  # what protoc writes for a service
    return owner is not None and owner.cls is not None and _is_stub(owner.cls.module.path)


def _is_stub(path: str) -> bool:
    return path.endswith("_pb2_grpc.py")


def _is_handled(reached: Reached) -> bool:
    """Return whether what a call raises is kept where it is made, or on the way there."""
    way = (*reached.chain, reached)
    kinds = [kind for one in way for kind in _taken(one.call, one.scope)]
    return _covers(kinds, _raised(reached)) or any(_is_wrapped(one.scope) for one in way)


def keeps_errors(event: Event, scope: Function) -> bool:
    """Return whether a statement around something takes any error, and keeps it."""
    return _covers(list(_taken(event, scope)), ())


def _taken(event: Event, scope: Function) -> Iterator[Ref | None]:
    """Return the classes of errors that statements around something take, and keep."""
    yield from _kept_by_clauses(event, scope)
    yield from _suppressed(event, scope)


def _kept_by_clauses(event: Event, scope: Function) -> Iterator[Ref | None]:
    """Return what each `try` around something takes and does not raise again."""
    for tried in event.tries():
        for one in tried.handlers:
            if not isinstance(one.body[-1], ast.Raise):
                yield from caught.types(one, scope)


def _suppressed(event: Event, scope: Function) -> Iterator[Ref | None]:
    """Return what `with suppress(...)` around something takes."""
    for block in event.blocks("with"):
        for item in getattr(block.node, "items", ()):
            manager = item.context_expr
            if not isinstance(manager, ast.Call):
                continue
            found = names.resolve(manager.func, scope)
            if found is not None and found.name == "contextlib.suppress":
                yield from (names.resolve(one, scope) for one in manager.args)


def _covers(kinds: Sequence[Ref | None], raised: Sequence[str]) -> bool:
    """Return whether some classes take all that may be raised; where one is not known, too."""
    if any(kind is None for kind in kinds):
        return True
    taken = [kind.name for kind in kinds if kind is not None]
    if not exceptions.EVERYTHING.isdisjoint(taken):
        return True
    if not raised:
        return any(map(exceptions.covers_package, taken))
    return all(any(exceptions.covers(one, each) for one in taken) for each in raised)


def _has_broad_handler(function: Function) -> bool:
    return any(
        _is_broad(one.node, function) and not isinstance(one.node.body[-1], ast.Raise)
        for one in function.flow.handlers
    )


def _is_broad(handler: ast.ExceptHandler, scope: Function) -> bool:
    """Return whether a handler takes any error."""
    kinds = caught.types(handler, scope)
    return any(one is not None and one.name in exceptions.EVERYTHING for one in kinds)


def _is_wrapped(function: Function) -> bool:
    """Return whether a decorator may handle errors: one that does, or is not known."""
    for decorator in function.node.decorator_list:
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        if dotted(func).rpartition(".")[2] in _PLAIN:
            continue
        found = names.resolve(func, function.around)
        made = None if found is None else found.function
        if made is None or any(_notices(one) for one in _with_inner(made)):
            return True
    return False


def _notices(function: Function) -> bool:
    """Return whether a function takes any error, also where it raises it again."""
    return any(_is_broad(one.node, function) for one in function.flow.handlers)


def _with_inner(function: Function) -> Iterator[Function]:
    yield function
    for inner in function.inner:
        yield from _with_inner(inner)
