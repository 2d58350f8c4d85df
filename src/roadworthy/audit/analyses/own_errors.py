"""Follow an exception's text to handlers, also inside own exceptions."""

import ast
from collections.abc import Iterator

from roadworthy.audit.analyses import error_text
from roadworthy.audit.analyses.error_text import TEXTS, Leak, Telling
from roadworthy.audit.dataflow import narrowed, reach
from roadworthy.audit.dataflow.statuses import is_http_exception
from roadworthy.audit.fastapi import handlers
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Event, Flow
from roadworthy.audit.source.module import Class, Function

__all__ = ["carried", "sent"]


def carried(handler: ast.ExceptHandler, function: Function) -> Iterator[Leak]:
    """Return own exceptions that take the text of another to a client."""
    telling = Telling(handler.name, function)
    flow = Flow(handler.body)
    for event in sorted([*flow.assigns, *flow.raises], key=lambda one: one.statement.lineno):
        found = narrowed.conditions(event.statement, handler.body)
        if telling.note(event) or error_text.is_known(found, handler.name or "", function):
            continue
        if isinstance(event.node, ast.Raise) and _is_sent(event.node.exc, telling):
            how = "an exception that a handler answers with"
            yield Leak(event.node, how, certain=True, conditions=len(found))


def _is_sent(raised: ast.expr | None, telling: Telling) -> bool:
    """Return whether an own exception that holds the text is answered with it."""
    made = names.resolve(raised, telling.function)
    if not isinstance(raised, ast.Call) or made is None or made.cls is None:
        return False
    if is_http_exception(made):
        return False
    texts = _attributes(raised, telling)
    answer = _answer_to(made.cls) if texts else None
    return answer is not None and any(sent(answer, texts))


def _attributes(call: ast.Call, telling: Telling) -> frozenset[str]:
    """Return the attributes of an exception that hold a text which a call gives it."""
    texts = {"args"} if any(telling.tells(one) for one in call.args) else set[str]()
    ref = names.resolve(call.func, telling.function)
    member = None if ref is None or ref.cls is None else names.member(ref, "__init__")
    if member is not None and member.function is not None:
        given = reach.arguments(call, member.function, ref)
        told = {name for name, value in given.items() if telling.tells(value)}
        texts |= _kept(member.function, told, telling.depth)
    return frozenset(texts)


def _kept(made: Function, told: set[str], depth: int) -> set[str]:
    """Return the attributes in which an `__init__`, or one above it, keeps some parameters."""
    inner = Telling(None, made, held=told)
    found = {name for name, value, _ in made.flow.self_assigned if inner.tells(value)}
    for one in reach.calls(made):
        node = one.call.node
        if not (isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"):
            continue
        above = _above(made) if one.ref is None else one.ref.function
        if any(map(inner.tells, node.args)):
            found.add("args")
        if above is not None and depth > 0:
            given = reach.arguments(node, above)
            held = {name for name, value in given.items() if inner.tells(value)}
            found |= _kept(above, held, depth - 1)
    return found


def _above(made: Function) -> Function | None:
    """Return the `__init__` that `super().__init__()` in another calls."""
    bases = [] if made.cls is None else list(names.bases(made.cls))[1:]
    found = (base.cls.names.get("__init__", ()) for base in bases if base.cls is not None)
    return next((one for each in found for one in each if isinstance(one, Function)), None)


def _answer_to(cls: Class) -> Function | None:
    """Return the function that answers where an exception of the project leaves a route."""
    known = {one.name: one for one in handlers.registered_anywhere(cls.module)}
    found = (known[base.name] for base in names.bases(cls) if base.name in known)
    return next((one.function for one in found), None)


def sent(function: Function, texts: frozenset[str] = TEXTS) -> Iterator[Event]:
    """Return the answers of a handler that hold its exception's text."""
    params = function.params[1:] if function.is_bound else function.params
    if len(params) < 2:  # noqa: PLR2004 - the request, and the exception
        return
    telling = Telling(params[1].name, function, texts=texts)
    events = [*function.flow.assigns, *function.flow.returns]
    for event in sorted(events, key=lambda one: one.statement.lineno):
        found = narrowed.conditions(event.statement, function.node.body)
        if error_text.is_known(found, params[1].name, function) or telling.note(event):
            continue
        if isinstance(event.node, ast.Return) and telling.tells(event.node.value):
            yield event
