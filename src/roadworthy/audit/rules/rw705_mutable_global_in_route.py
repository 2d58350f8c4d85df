"""RW705: a route keeps something in the memory of its process."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source import annotations, names
from roadworthy.audit.source.module import Function, Module

__all__ = ["RULE"]

_COLLECTIONS: Final = frozenset(
    {
        *(f"builtins.{name}" for name in ("dict", "list", "set")),
        *(f"collections.{name}" for name in ("defaultdict", "Counter", "deque", "OrderedDict")),
    }
)
_CHANGES: Final = frozenset(
    {
        *("append", "extend", "insert", "appendleft", "add", "update", "setdefault"),
        *("pop", "popleft", "popitem", "remove", "discard", "clear"),
    }
)


def _check(route: Route) -> Iterator[Hit]:
    function = route.function
    nodes = (one.node for one in function.flow.globals)
    declared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    seen: set[str] = set()
    for node, name in _changes(function, declared):
        if name in seen or b"add_done_callback" in function.module.source:
            continue
        if name in declared or _is_global_collection(name, function):
            seen.add(name)
            yield Hit(
                place=function.place(node),
                message=(
                    f"`{name}` lives in the memory of one process: other workers do not see the "
                    "change, and it is gone with the next restart."
                ),
                confidence=_confidence(node),
            )


def _confidence(node: ast.AST) -> Confidence:
    """Return less where a name gets a new value: mostly, it was found out once and is kept."""
    plain = isinstance(node, ast.Assign) and all(isinstance(one, ast.Name) for one in node.targets)
    return Confidence.LOW if plain else Confidence.MEDIUM


def _changes(function: Function, declared: set[str]) -> Iterator[tuple[ast.AST, str]]:
    """Return what a function changes in place, or assigns to a global name."""
    for event in function.flow.assigns:
        for target in _targets(event.node):
            match target:
                case ast.Subscript(value=ast.Name(id=name)):
                    yield event.node, name
                case ast.Name(id=name) if name in declared:
                    yield event.node, name
                case _:
                    pass
    for call in function.flow.calls:
        match call.node.func:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in _CHANGES:
                yield call.node, name
            case _:
                pass


def _targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return targets
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return [target]
        case _:
            return []


def _is_global_collection(name: str, function: Function) -> bool:
    if name in function.names or function.param(name) is not None:
        return False
    node = ast.Name(name)
    found = annotations.definition(node, function)
    if found is None or not isinstance(found[1], Module):
        return False
    made = names.resolve(found[0].value, found[1])
    return made is not None and made.is_instance and made.name in _COLLECTIONS


_COUNTED = Example("""
from collections import Counter
from fastapi import FastAPI

app = FastAPI()
seen = Counter()
carts: dict[str, list[int]] = {}
orders = 0

@app.get("/products/{number}")
def product(number: int):
    seen[number] += 1  # found
    return {"number": number, "seen": seen[number]}

@app.post("/carts/{name}")
def add(name: str, number: int):
    global orders
    orders += 1  # found
    carts.setdefault(name, []).append(number)  # found
    return carts[name]
""")

_READ = Example("""
from fastapi import FastAPI
from shop.store import increment

app = FastAPI()
prices = {1: 2.5}
loaded = False

@app.get("/products/{number}")
def product(number: int):
    global loaded
    found = {}
    found["price"] = prices.get(number)
    found.update(ready=loaded)
    increment(number)
    return found
""")

RULE: Final = Rule(
    code="RW705",
    name="mutable-global-in-route",
    severity=Severity.MEDIUM,
    looks="route",
    check=_check,
    default=False,
    summary="A route changes a collection or a value of its module.",
    why="""Every worker process has a copy of its own: what one request wrote, the next one
does not find if another process answers it. A restart forgets all of it, and routes in
threads change it at the same time.""",
    mend="Keep it in the database or in Redis; a cache that may be lost needs no mending.",
    bad=(_COUNTED,),
    good=(_READ,),
)
"""Finds routes that change a global collection or value."""
