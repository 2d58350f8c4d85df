"""What writes to storage: attributes, entries, and which methods."""

import ast
from typing import Final, TypeAlias

from roadworthy.audit.analyses.columns import stored
from roadworthy.audit.dataflow.entries import entry
from roadworthy.audit.source import annotations, libraries, names
from roadworthy.audit.source.module import Assigned, Function, Scope
from roadworthy.audit.source.ref import Ref
from roadworthy.audit.source.rows import SESSIONS

__all__ = [
    "Given",
    "Target",
    "is_kept",
    "is_stored",
    "keeps_own_state",
    "target_of",
    "writes_to",
]

Target: TypeAlias = tuple[ast.expr, Function]
"""An expression, and the function that it is written in."""
Given: TypeAlias = dict[str, Target]
"""What callers give parameters."""

_UPDATES: Final = frozenset(
    {
        *("sqlalchemy.update", "sqlalchemy.sql.update", "sqlalchemy.sql.expression.update"),
        "sqlmodel.update",
    }
)
_WRITERS: Final = frozenset(
    {
        *("update", "values", "sqlmodel_update", "model_copy", "update_one", "update_many"),
        *("find_one_and_update", "update_from_dict", "update_or_create", "aupdate_or_create"),
        *("aupdate", "bulk_update_mappings"),
    }
)
"""Methods that write what they are given to what is stored."""
_ELSEWHERE: Final = frozenset(
    {"httpx", "requests", "aiohttp", "hashlib", "contextvars", "hmac", "rich", "tqdm", "structlog"}
)
"""Packages whose objects keep nothing for the service."""
_LOADS: Final = frozenset({"get", "find_one", "fetch_one", "fetchone", "fetchrow", "find"})
_HOPS: Final = 3


def is_stored(owner: ast.expr, function: Function, fresh: set[str], given: Given) -> bool:
    """Return whether assigning to an attribute or entry changes what is stored."""
    root = _holder(owner)
    if not isinstance(root, ast.Name):
        return isinstance(root, ast.Call) and not _travels(names.resolve(owner, function))
    if root.id in fresh or _travels(names.resolve(root, function)):
        return False
    if function.is_bound and function.params and root.id == function.params[0].name:
        return owner is root and _is_of_row(owner, function)
    if root.id in given:
        argument, caller = given[root.id]
        return not _travels(names.resolve(_holder(argument), caller))
    return True


def _holder(node: ast.expr) -> ast.expr:
    """Return what an attribute or entry belongs to at last: `request` of `request.state.user`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Await):
        node = node.value
    return node


def _travels(ref: Ref | None) -> bool:
    """Return whether something is the request, the answer, a session or a client."""
    if ref is None or not ref.is_instance or ref.entity is not None:
        return False
    return ref.name in SESSIONS or not _may_be_stored(ref)


def _may_be_stored(ref: Ref) -> bool:
    package = ref.name.partition(".")[0]
    return package not in _ELSEWHERE | {"fastapi", "starlette", "logging", "sqlalchemy", "asyncio"}


def _is_of_row(owner: ast.expr, function: Function) -> bool:
    """Return whether `self` is a row or a model, which a method of its own changes."""
    cls = function.cls
    return cls is not None and any(
        base.cls is None and base.name not in libraries.VAGUE for base in names.bases(cls)
    )


def keeps_own_state(owner: ast.expr, attr: str, function: Function) -> bool:
    """Return whether `self.name = name` changes what the object was made with."""
    cls = function.cls
    if cls is None or not function.params or function.name == "__init__":
        return False
    if not (isinstance(owner, ast.Name) and owner.id == function.params[0].name):
        return False
    return function.is_bound and any(
        method.name == "__init__"
        for base in names.bases(cls)
        if base.cls is not None
        for _, method in base.cls.attributes.get(attr, ())
    )


def is_kept(owner: ast.expr, function: Function, hops: int = _HOPS) -> bool:
    """Return whether a dict is a stored one: an element of another, or of a module."""
    if not isinstance(owner, ast.Name):
        return True
    given = [one for one in function.names.get(owner.id, ()) if isinstance(one, Assigned)]
    return not given or any(_is_element(one, function, hops) for one in given)


def _is_element(assigned: Assigned, function: Function, hops: int) -> bool:
    """Return whether a value was taken out of something: `items[key]`, `items.get(key)`."""
    if assigned.how.startswith("for"):
        return True
    value = assigned.value
    while isinstance(value, ast.Await | ast.NamedExpr):
        value = value.value
    match value:
        case None:
            return False
        case ast.BoolOp(values=[first, *_]):
            return _is_element(Assigned(first), function, hops)
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in _LOADS:
            return True
        case ast.Call() if hops and (called := names.resolve(value.func, function)) is not None:
            if called.function is not None:
                return _gives_element(called.function, hops - 1)
        case _:
            pass
    return entry(value) is not None


def _gives_element(function: Function, hops: int) -> bool:
    """Return whether a function returns something that it has taken out of a collection."""
    values = [getattr(event.node, "value", None) for event in function.flow.returns]
    named = [one for one in values if isinstance(one, ast.Name)]
    return any(
        is_kept(one, function, hops) and function.names.get(one.id) is not None for one in named
    ) or any(one is not None and entry(one) is not None for one in values)


def writes_to(call: ast.Call, owner: ast.expr, function: Function, fresh: set[str]) -> bool:
    """Return whether a method writes what it is given, rather than asks or gathers."""
    func = call.func
    if not isinstance(func, ast.Attribute):
        return False
    match func.attr:
        case "merge":
            return names.is_a(names.resolve(owner, function), *SESSIONS)
        case "execute":
            return any(_updated(one, function) is not None for one in call.args[:1])
        case "values":
            return _updated(owner, function) is not None
        case attr if attr in _WRITERS:
            return _updates(func, function, fresh)
        case _:
            return False


def _updates(func: ast.Attribute, function: Function, fresh: set[str]) -> bool:
    """Return whether `update` and the like belong to something that may be stored."""
    ref = names.resolve(func, function)
    owner = func.value
    if isinstance(owner, ast.Name) and owner.id in fresh and func.attr != "model_copy":
        return False
    if ref is None:
        return True
    return not (  # what the project has itself is followed
        ref.function is not None
        or ref.name.partition(".")[0] in _ELSEWHERE
        or ref.name in libraries.VAGUE
        or ref.name.startswith("builtins.set.")
    )


def _updated(node: ast.expr, scope: Scope, hops: int = _HOPS) -> ast.expr | None:
    """Return the table of `update(Table).where(...)`, also where that is in a variable."""
    match node:
        case ast.Call():
            return _updated_by(node, scope, hops)
        case ast.Name() if hops:
            made = annotations.definition(node, scope)
            value = None if made is None else made[0].value
            return None if made is None or value is None else _updated(value, made[1], hops - 1)
        case _:
            return None


def _updated_by(call: ast.Call, scope: Scope, hops: int) -> ast.expr | None:
    """Return the table of a call: `update(Table)`, `table.update()`, or a method of those."""
    table = _table_of_update(call, scope)
    if table is not None:
        return table
    match call.func:
        case ast.Attribute(value=owner, attr="update") if not call.args:
            return owner
        case ast.Attribute(value=owner):
            return _updated(owner, scope, hops)
        case _:
            return None


def _table_of_update(call: ast.Call, scope: Scope) -> ast.expr | None:
    """Return the table that `update(Table)` or `update(table=Table)` is given."""
    called = names.resolve(call.func, scope)
    if called is None or called.name not in _UPDATES:
        return None
    named = (one.value for one in call.keywords if one.arg == "table")
    return call.args[0] if call.args else next(named, None)


def target_of(owner: ast.expr, call: ast.Call, function: Function) -> ast.expr | None:
    """Return the table of `update(Table).where(...)`, or what a method belongs to."""
    for one in (owner, *call.args[:1]):
        if (table := _updated(one, function)) is not None:
            return table
    found = _root_of_query(owner, function)
    return owner if found is None else found


def _root_of_query(node: ast.expr, function: Function) -> ast.expr | None:
    """Return what `session.query(Book).filter(...)` or `vars(book)` is about."""
    match node:
        case (
            ast.Call(func=ast.Attribute(attr="query"), args=[one, *_])
            | ast.Call(func=ast.Name(id="vars"), args=[one])
            | ast.Attribute(value=one, attr="__dict__")
        ):
            return one
        case _ if stored(node, function) is not None:
            return node
        case ast.Call(func=ast.Attribute(value=value)) | ast.Attribute(value=value):
            return _root_of_query(value, function)
        case _:
            return None
