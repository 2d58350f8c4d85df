"""What clients send, and the service turns into a Pydantic model itself."""

import ast
from typing import Final

from roadworthy.audit.dataflow import caught, reach
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.fastapi.models import is_model
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.nodes import root

__all__ = ["validates_by_hand"]

_MAKES: Final = frozenset(
    {
        *("model_validate", "model_validate_json", "model_validate_strings", "parse_obj"),
        *("parse_raw", "validate_python", "validate_json", "validate_strings"),
    }
)
_KINDS: Final = ("pydantic.BaseModel", "pydantic.RootModel", "pydantic.TypeAdapter")
_INVALID: Final = frozenset({"pydantic.ValidationError", "builtins.ValueError"})
_PASSES: Final = frozenset(
    {
        *("loads", "json", "body", "form", "decode", "get", "items", "strip", "read"),
        *("text", "receive_text", "receive_json", "parse_qs"),
    }
)
"""Calls whose result is still what the client sent; of a model, FastAPI has validated it."""
_COPIES: Final = frozenset({"dict", "loads", "str"})


def validates_by_hand(route: Route) -> bool:
    """Return whether a route lets out what Pydantic says of something that a client sent."""
    if not reach.may_reach(route.function, _validated):
        return False
    return any(_is_let_out(one, route) for one in reach.reach(route.function))


def _is_let_out(one: Reached, route: Route) -> bool:
    given = _validated(one)
    if given is None or any(_catches(call) for call in (*one.chain, one)):
        return False
    return _is_sent(given, one.scope, one.chain, route)


def _validated(one: Reached) -> ast.expr | None:
    """Return what a call makes a model of: `Order.model_validate(data)`, `Order(**data)`."""
    node = one.call.node
    if isinstance(node.func, ast.Attribute) and node.func.attr in _MAKES and node.args:
        owner = names.resolve(node.func.value, one.scope)
        return node.args[0] if is_model(owner) or names.is_a(owner, *_KINDS) else None
    spread = [word.value for word in node.keywords if word.arg is None]
    return spread[0] if spread and is_model(one.ref) else None


def _catches(one: Reached) -> bool:
    """Return whether a `try` around a call takes what Pydantic raises."""
    known = _INVALID | caught.EVERYTHING
    return any(
        kind is not None and kind.name in known
        for tried in one.call.tries()
        for handler in tried.handlers
        for kind in caught.types(handler, one.scope)
    )


def _is_sent(
    node: ast.expr, scope: Function, chain: tuple[Reached, ...], route: Route, hops: int = 8
) -> bool:
    """Return whether an expression is, or is read from, what a client has sent."""
    value = _source(node)
    if not isinstance(value, ast.Name) or not hops:
        return False
    assigned = [one.value for one in scope.names.get(value.id, ()) if isinstance(one, Assigned)]
    if assigned:
        sources = (one for one in assigned if one is not None)
        return any(_is_sent(one, scope, chain, route, hops - 1) for one in sources)
    if scope.param(value.id) is None:
        return False
    if not chain:
        return scope is route.function and value.id not in _filled(route)
    *before, outer = chain
    given = reach.arguments(outer.call.node, scope, outer.ref).get(value.id)
    return given is not None and _is_sent(given, outer.scope, tuple(before), route, hops - 1)


def _source(node: ast.expr) -> ast.expr:
    """Return what `json.loads(await request.body())` or `data["orders"]` is read from."""
    match node:
        case ast.Await(value=inner):
            return _source(inner)
        case ast.Call(func=ast.Attribute(value=owner) as func) if func.attr in _PASSES:
            of_module = func.attr == "loads" and node.args
            return _source(node.args[0] if of_module else owner)
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in _COPIES:
            return _source(first)
        case ast.Subscript() | ast.Attribute():
            return root(node)
        case _:
            return node


def _filled(route: Route) -> set[str]:
    """Return the parameters that dependencies fill."""
    return {need.param.name for need in route.needs if need.param is not None}
