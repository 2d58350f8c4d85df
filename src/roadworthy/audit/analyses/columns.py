"""`Stored`: what code writes to, and whether its fields can be null there.

Ask `stored(target, scope)` for what an expression is: a row however it was loaded (`get`,
`scalar(select(...))`, a helper, an annotated parameter), a table, a model, an entry of a
dict. Then ask `takes_null(name)`: True where null is a value of that field, False where a
null would spoil what is stored, None where the code does not tell. Say nothing on None.

    >>> target = stored(book_node, function)  # doctest: +SKIP
    >>> target is not None and target.takes_null("title") is False  # doctest: +SKIP
"""

import ast
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow.entries import annotation_of, dicts_of, values_of
from roadworthy.audit.fastapi import models
from roadworthy.audit.source import annotations, names
from roadworthy.audit.source.module import Assigned, Class, Function, Scope

__all__ = ["Stored", "stored"]

_COLUMNS: Final = frozenset(
    {
        *("sqlalchemy.Column", "sqlalchemy.schema.Column", "sqlalchemy.sql.schema.Column"),
        *("sqlalchemy.orm.mapped_column", "flask_sqlalchemy.SQLAlchemy.Column"),
    }
)
"""They take null where nothing else is said."""
_TABLES: Final = frozenset(
    {"sqlalchemy.Table", "sqlalchemy.schema.Table", "sqlalchemy.sql.schema.Table"}
)
_NOT_NULL: Final = ("tortoise.fields.", "peewee.", "django.db.models.", "piccolo.columns.")
"""Packages whose columns refuse null where nothing else is said."""
_MAPPED: Final = frozenset({"sqlalchemy.orm.Mapped", "sqlalchemy.orm.base.Mapped"})
_NO_COLUMN: Final = frozenset(
    f"{package}.{name}"
    for package in ("sqlalchemy.orm", "sqlmodel")
    for name in (
        *("relationship", "Relationship", "column_property", "synonym", "composite"),
        *("query_expression", "backref", "dynamic_loader"),
    )
)
_SAY: Final = frozenset({"nullable", "null"})
_KEYS: Final = frozenset({"primary_key", "pk"})
_HOPS: Final = 3
"""Functions that make a column for each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A row, a table, a model or a dict that code writes to."""

    cls: Class | None = None
    """The class of a row or a model."""
    table: tuple[ast.Call, Scope] | None = None
    """`Table(...)`, and where it is written."""
    dicts: tuple[ast.Dict, ...] = ()
    """The dicts that are written out as its first contents."""
    values: tuple[ast.expr, Scope] | None = None
    """What a dict is declared to have as values: `str` of `dict[str, str]`."""

    def takes_null(self, name: str) -> bool | None:
        """Return whether a field can be null; None where the code does not tell."""
        if self.cls is not None:
            return _of_class(self.cls, name)
        if self.table is not None:
            return _of_table(*self.table, name)
        declared = None if self.values is None else _of_annotation(*self.values)
        return _of_dicts(self.dicts, name) if declared is None else declared

    def wants_null(self, name: str) -> bool:
        """Return whether null means something: no flag or number that has a default."""
        counted = self.cls is not None and _counts_from_a_default(self.cls, name)
        return self.takes_null(name) is True and not counted


def stored(node: ast.expr | None, scope: Scope) -> Stored | None:
    """Return what an expression is, where it is something with known fields."""
    if node is None:
        return None
    ref = names.resolve(node, scope)
    if ref is not None and ref.cls is not None:
        return Stored(cls=ref.cls)
    table = _table(node, scope)
    return _of_dict(node, scope) if table is None else Stored(table=table)


def _table(node: ast.expr, scope: Scope) -> tuple[ast.Call, Scope] | None:
    """Return the `Table(...)` that a name leads to."""
    for _ in range(_HOPS):
        made = annotations.definition(node, scope)
        if made is None or made[0].value is None:
            return None
        node, scope = made[0].value, made[1]
        if isinstance(node, ast.Call):
            called = names.resolve(node.func, scope)
            return (node, scope) if called is not None and called.name in _TABLES else None
    return None


def _of_dict(node: ast.expr, scope: Scope) -> Stored | None:
    """Return a dict, or the model that is an entry of a typed one."""
    declared = annotation_of(node, scope)
    ref = None if declared is None else names.type_of(*declared)
    if ref is not None and ref.cls is not None:
        return Stored(cls=ref.cls)
    values = None if declared is None else values_of(*declared)
    dicts = dicts_of(node, scope)
    return Stored(dicts=dicts, values=values) if dicts or values is not None else None


# --- fields of classes ---


def _of_class(cls: Class, name: str) -> bool | None:
    for base in names.bases(cls):
        if base.cls is None:
            continue
        for binding in base.cls.names.get(name, ()):
            return _of_binding(binding, base.cls)
        for assigned, method in base.cls.attributes.get(name, ()):
            return _of_attribute(assigned, method)
    return None


def _counts_from_a_default(cls: Class, name: str) -> bool:
    """Return whether a column has a flag or a number where nothing was given: `done = False`."""
    for base in names.bases(cls):
        for binding in () if base.cls is None else base.cls.names.get(name, ()):
            return isinstance(binding, Assigned) and _is_counted(binding.value)
    return False


def _is_counted(value: ast.expr | None) -> bool:
    match value:
        case ast.Constant(value=bool() | int() | float()):
            return True
        case ast.Call():
            return _is_counted(_options(value).get("default"))
        case _:
            return False


def _of_binding(binding: object, cls: Class) -> bool | None:
    match binding:
        case Assigned(how="="):
            return _of_assigned(binding, cls)
        case Function(node=node) if node.returns is not None:  # a `declared_attr`
            return _of_annotation(node.returns, cls) if _is_mapped(node.returns, cls) else None
        case _:
            return None


def _of_attribute(assigned: Assigned, method: Function) -> bool | None:
    """Return what `self.title: str = title`, or the annotation of that parameter, says."""
    annotation = assigned.annotation
    if annotation is None and isinstance(assigned.value, ast.Name):
        param = method.param(assigned.value.id)
        annotation = None if param is None else param.annotation
    return None if annotation is None else _of_annotation(annotation, method.around)


def _of_assigned(assigned: Assigned, cls: Class) -> bool | None:
    calls = _calls(assigned, cls)
    if any(_is_open(one) for one, _ in calls):
        return None
    said = _of_calls(calls)
    if assigned.annotation is None:
        return said if said is not None else _by_default(assigned.value, cls)
    by_type = _of_annotation(assigned.annotation, cls)
    if said is not None:
        open_ = by_type is False and said and not any(_is_said(one) for one, _ in calls)
        return None if open_ else said
    if _is_mapped(assigned.annotation, cls):
        return None if _is_no_column(assigned.value, cls) else by_type
    default = _by_default(assigned.value, cls)
    return by_type if default in {None, by_type} else None


def _is_no_column(value: ast.expr | None, scope: Scope) -> bool:
    called = names.resolve(value.func, scope) if isinstance(value, ast.Call) else None
    return called is not None and called.name in _NO_COLUMN


def _calls(assigned: Assigned, cls: Class) -> list[tuple[ast.Call, Scope]]:
    """Return the calls that declare a column, also those in `Annotated` and in `Field`."""
    found: list[tuple[ast.Call, Scope]] = []
    if isinstance(assigned.value, ast.Call):
        found.append((assigned.value, cls))
    annotation, scope, metadata = annotations.unwrap(assigned.annotation, cls)
    if annotation is not None and _is_mapped(annotation, scope):
        metadata = [*metadata, *annotations.unwrap(_inside(annotation), scope)[2]]
    found += [(one, where) for one, where in metadata if isinstance(one, ast.Call)]
    return found


def _is_open(call: ast.Call) -> bool:
    """Return whether a variable decides: `nullable=STRICT`."""
    options = _options(call)
    return any(not isinstance(options[name], ast.Constant) for name in _SAY & options.keys())


def _is_said(call: ast.Call) -> bool:
    """Return whether a column, or the one inside it, says of null itself what it takes."""
    options = _options(call)
    inner = [options.get("sa_column"), *call.args]
    return bool(_SAY & options.keys()) or any(
        isinstance(one, ast.Call) and _is_said(one) for one in inner
    )


def _of_calls(calls: list[tuple[ast.Call, Scope]]) -> bool | None:
    for call, scope in calls:
        said = _of_call(call, scope)
        if said is not None:
            return said
    return None


def _of_call(call: ast.Call, scope: Scope, hops: int = _HOPS) -> bool | None:
    """Return what a call that declares a column says of null by itself."""
    options = _options(call)
    for name in _SAY & options.keys():
        option = options[name]
        return bool(option.value) if isinstance(option, ast.Constant) else None
    if any(_is_true(options.get(name)) for name in _KEYS):
        return False
    inner = options.get("sa_column")
    for one in (inner, *call.args):  # `deferred(mapped_column(...))`
        if isinstance(one, ast.Call) and _declares(one, scope):
            said = _of_call(one, scope, hops - 1) if hops else None
            return _by_default(one, scope) if said is None else said
    return _made(call, scope, hops)


def _made(call: ast.Call, scope: Scope, hops: int) -> bool | None:
    """Return what a function of the project that makes a column says."""
    called = names.resolve(call.func, scope)
    function = None if called is None else called.function
    if function is None or not hops or len(function.flow.returns) != 1:
        return None
    value = getattr(function.flow.returns[0].node, "value", None)
    if not isinstance(value, ast.Call):
        return None
    said = _of_call(value, function, hops - 1)
    return _by_default(value, function) if said is None else said


def _options(call: ast.Call) -> dict[str, ast.expr]:
    options = {one.arg: one.value for one in call.keywords if one.arg is not None}
    more = options.get("sa_column_kwargs")
    if isinstance(more, ast.Dict):
        for key, value in zip(more.keys, more.values, strict=True):
            if isinstance(key, ast.Constant):
                options[str(key.value)] = value
    return options


def _is_true(option: ast.expr | None) -> bool:
    return isinstance(option, ast.Constant) and option.value is True


def _declares(call: ast.Call, scope: Scope) -> bool:
    called = names.resolve(call.func, scope)
    return called is not None and called.name in _COLUMNS


def _by_default(value: ast.expr | None, scope: Scope) -> bool | None:
    """Return what a column takes for which nothing is said."""
    if not isinstance(value, ast.Call):
        return None
    called = names.resolve(value.func, scope)
    if called is None or called.entity is not None:
        return None
    if called.name in _COLUMNS:
        return True
    return False if called.name.startswith(_NOT_NULL) else None


# --- annotations, tables and dicts ---


def _of_annotation(annotation: ast.expr, scope: Scope) -> bool | None:
    annotation_, where, _ = annotations.unwrap(annotation, scope)
    if annotation_ is None:
        return None
    if _is_mapped(annotation_, where):
        return _of_annotation(_inside(annotation_), where)
    ref = names.type_of(annotation_, where)
    if ref is not None and ref.name in {"typing.Any", "builtins.object", "typing.TypeVar"}:
        return None
    return models.takes_none(annotation_, where)


def _is_mapped(annotation: ast.expr, scope: Scope) -> bool:
    annotation_, where, _ = annotations.unwrap(annotation, scope)
    if not isinstance(annotation_, ast.Subscript):
        return False
    base = names.resolve(annotation_.value, where)
    return base is not None and base.name in _MAPPED


def _inside(annotation: ast.expr) -> ast.expr:
    return annotation.slice if isinstance(annotation, ast.Subscript) else annotation


def _of_table(table: ast.Call, scope: Scope, name: str) -> bool | None:
    """Return what `Table("books", metadata, Column("title", String))` says."""
    for one in table.args:
        match one:
            case ast.Call(args=[ast.Constant(value=called), *_]) if called == name:
                said = _of_call(one, scope)
                return _by_default(one, scope) if said is None else said
            case _:
                pass
    return None


def _of_dicts(dicts: tuple[ast.Dict, ...], name: str) -> bool | None:
    """Return whether any of the dicts that are written out has a null there."""
    found = [
        value
        for one in dicts
        for key, value in zip(one.keys, one.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == name
    ]
    if any(isinstance(one, ast.Constant) and one.value is None for one in found):
        return True
    known = len(found) == len(dicts) and all(isinstance(one, _VALUES) for one in found)
    return False if found and known else None


_VALUES: Final = (ast.Constant, ast.JoinedStr, ast.List, ast.Dict, ast.Set, ast.Tuple)
