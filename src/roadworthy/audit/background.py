"""Work after the answer: which tasks are added, and what becomes of errors."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit import names
from roadworthy.audit.effects import outside
from roadworthy.audit.flow import Event
from roadworthy.audit.module import Function
from roadworthy.audit.reach import Reached, calls, reach
from roadworthy.audit.ref import Ref
from roadworthy.audit.values import dotted

__all__ = ["Task", "first_unhandled", "keeps_errors", "tasks"]

_ADDS: Final = frozenset(
    {"fastapi.BackgroundTasks.add_task", "starlette.background.BackgroundTask"}
)
_BROAD: Final = frozenset(
    {
        *("Exception", "BaseException", "RequestException", "HTTPError", "SQLAlchemyError"),
        *("ClientError", "RedisError", "StripeError", "OpenAIError", "ApiException"),
    }
)
"""Errors that stand for all there are, or for all of a library."""
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
        return f"{ast.unparse(self.target)}()"[:60]


def tasks(function: Function) -> Iterator[Task]:
    """Return the background tasks that a function adds."""
    if b"ackgroundTask" not in function.module.source:
        return
    for reached in calls(function):
        node = reached.call.node
        if reached.name in _ADDS and node.args and not isinstance(node.args[0], ast.Starred):
            ref = names.resolve(node.args[0], function)
            named = (one.value for one in node.keywords)
            yield Task(reached, node.args[0], ref, (*node.args[1:], *named))


def first_unhandled(function: Function) -> Reached | None:
    """Return a call of a task that may fail with nothing to handle that."""
    if _has_broad_handler(function) or _is_wrapped(function):
        return None
    for reached in reach(function):
        if _may_fail(reached) and not any(_is_handled(one) for one in (*reached.chain, reached)):
            return reached
    return None


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
    return keeps_errors(reached.call) or _is_wrapped(reached.scope)


def keeps_errors(event: Event) -> bool:
    """Return whether a statement around something takes any error, and keeps it."""
    if any(_keeps(handler) for tried in event.tries() for handler in tried.handlers):
        return True
    return any(
        "suppress" in ast.unparse(item.context_expr)
        for block in event.blocks("with")
        if isinstance(block.node, ast.With)
        for item in block.node.items
    )


def _keeps(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler takes any error and does not raise it again."""
    return _is_broad(handler) and not isinstance(handler.body[-1], ast.Raise)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler takes any error, or any that a library has."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(one).rpartition(".")[2] in _BROAD for one in kinds)


def _has_broad_handler(function: Function) -> bool:
    return any(_keeps(one.node) for one in function.flow.handlers)


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
    return any(_is_broad(one.node) for one in function.flow.handlers)


def _with_inner(function: Function) -> Iterator[Function]:
    yield function
    for inner in function.inner:
        yield from _with_inner(inner)
