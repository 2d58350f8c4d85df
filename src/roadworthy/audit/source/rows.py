"""Know statements, results and rows, as SQLAlchemy names them."""

import ast
from collections.abc import Callable
from typing import Final, TypeAlias

from roadworthy.audit.source.ref import Ref

__all__ = ["SESSIONS", "loaded", "passed_on", "selects"]

_Resolve: TypeAlias = Callable[[ast.expr], Ref | None]

SESSIONS: Final = frozenset(
    {
        *("sqlalchemy.orm.Session", "sqlalchemy.orm.scoped_session"),
        *("sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.ext.asyncio.async_scoped_session"),
    }
)
"""What loads rows, async ones too."""
_SELECTS: Final = frozenset(
    {
        *("sqlalchemy.select", "sqlalchemy.future.select", "sqlalchemy.sql.select"),
        *("sqlalchemy.sql.expression.select", "sqlmodel.select"),
        "sqlmodel.sql.expression.select",
    }
)
_SELECT: Final = "sqlalchemy.Select"
_QUERY: Final = "sqlalchemy.orm.Query"
_RESULT: Final = "sqlalchemy.Result"
_SCALARS: Final = "sqlalchemy.ScalarResult"

_ROW: Final = frozenset({"first", "one", "one_or_none", "fetchone"})
_ROWS: Final = frozenset({"all", "fetchall", "fetchmany"})
_OF_RESULT: Final = frozenset({"scalar", "scalar_one", "scalar_one_or_none"})
_NO_STATEMENT: Final = frozenset(
    {"subquery", "alias", "cte", "scalar_subquery", "exists", "count", "delete", "update"}
)
_OF_SESSION: Final = {
    "query": _QUERY,
    "scalars": _SCALARS,
    "stream_scalars": _SCALARS,
    "exec": _SCALARS,
    "execute": _RESULT,
    "stream": _RESULT,
}


def selects(function: Ref, node: ast.Call, resolve: _Resolve) -> Ref | None:
    """Return the statement that `select(Book)` makes, with the row that it is about."""
    if function.name not in _SELECTS:
        return None
    row = _row(node, resolve)
    return Ref(_SELECT, None, is_instance=True, args=() if row is None else (row,))


def loaded(owner: Ref | None, method: str, node: ast.Call, resolve: _Resolve) -> Ref | None:
    """Return what a method of a session, a statement or a result gives.

    An owner that is None is not known: then the argument must say that it is a session.
    """
    if owner is None or owner.name in SESSIONS:
        return _of_session(method, node, resolve, known=owner is not None)
    if not owner.args or owner.args[0] is None:
        return None
    return _of_statement(owner, owner.args[0], method)


def _of_session(method: str, node: ast.Call, resolve: _Resolve, *, known: bool) -> Ref | None:
    if method == "merge" and known and node.args:
        return resolve(node.args[0])
    if method in {"get", "get_one", "query"}:
        return _named_row(method, node, resolve, known=known)
    if method not in _OF_SESSION and method != "scalar":
        return None
    given = _first(node, "statement")
    statement = None if given is None else resolve(given)
    if statement is None or statement.name != _SELECT or not statement.args:
        return None
    row = statement.args[0]
    if method == "scalar":
        return row
    return Ref(_OF_SESSION[method], None, is_instance=True, args=(row,))


def _named_row(method: str, node: ast.Call, resolve: _Resolve, *, known: bool) -> Ref | None:
    """Return what `get(Book, 1)` loads, or the query that `query(Book)` begins."""
    row = _row(node, resolve)
    more = node.args[1:] or node.keywords
    told = row is not None and row.cls is not None and (more or method == "query")
    if row is None or not (known or told):
        return None
    return row if method != "query" else Ref(_QUERY, None, is_instance=True, args=(row,))


def _of_statement(owner: Ref, row: Ref, method: str) -> Ref | None:
    match owner.name:
        case "sqlalchemy.Select":
            return None if method in _NO_STATEMENT else owner.instance
        case "sqlalchemy.orm.Query" | "sqlalchemy.ScalarResult":
            if method in _ROW or (owner.name == _QUERY and method in {"get", "scalar"}):
                return row
            if method in _ROWS:
                return _list(row)
            return None if method in _NO_STATEMENT else owner.instance
        case "sqlalchemy.Result":
            return _of_result(owner, row, method)
        case _:
            return None


def _of_result(owner: Ref, row: Ref, method: str) -> Ref | None:
    if method in _OF_RESULT:
        return row
    if method == "scalars":
        return Ref(_SCALARS, None, is_instance=True, args=(row,))
    several = Ref("builtins.tuple", None, is_instance=True, args=(row,))
    if method in _ROW:
        return several
    return _list(several) if method in _ROWS else owner.instance


def _list(row: Ref) -> Ref:
    return Ref("builtins.list", None, is_instance=True, args=(row,))


def _row(node: ast.Call, resolve: _Resolve) -> Ref | None:
    """Return an instance of the class that a call is given first."""
    given = _first(node, "entity")
    found = None if given is None else resolve(given)
    if found is None or found.is_instance or found.function is not None:
        return None
    is_class = found.cls is not None or found.name.rpartition(".")[2][:1].isupper()
    return found.instance if is_class else None


def _first(node: ast.Call, name: str) -> ast.expr | None:
    """Return the first argument of a call, by position or by its name."""
    named = (one.value for one in node.keywords if one.arg == name)
    return node.args[0] if node.args else next(named, None)


_SAME: Final = frozenset(
    f"builtins.{name}" for name in ("iter", "list", "tuple", "set", "sorted", "reversed")
)


def passed_on(function: Ref, node: ast.Call, resolve: _Resolve) -> Ref | None:
    """Return what `next(rows)` takes out of a collection, or `list(rows)` has again."""
    is_next = function.name == "builtins.next"
    if not node.args or not (is_next or function.name in _SAME):
        return None
    found = resolve(node.args[0])
    if found is None or len(found.args) != 1 or found.args[0] is None:
        return None
    return found.args[0] if is_next else _list(found.args[0])
