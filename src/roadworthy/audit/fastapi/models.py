"""Pydantic models: their fields, with those they inherit."""

import ast
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.source import annotations, names
from roadworthy.audit.source.module import Assigned, Class, Function, Scope
from roadworthy.audit.source.nodes import last_name, walk
from roadworthy.audit.source.ref import Ref

__all__ = ["Field", "fields", "is_model", "is_model_class", "refusing_null", "takes_none"]

_MODELS: Final = (
    "pydantic.BaseModel",
    "pydantic.generics.GenericModel",
    "sqlmodel.SQLModel",
    "fastapi_users.schemas.BaseUser",
    "fastapi_users.schemas.BaseUserUpdate",
    "fastapi_users.schemas.BaseUserCreate",
    "fastapi_users.schemas.CreateUpdateDictModel",
    "fastapi_utils.api_model.APIModel",
)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a model."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    """None where there is none: then the field is required."""
    nullable: bool
    """Whether its annotation takes None."""
    owner: Class
    metadata: tuple[tuple[ast.expr, Scope], ...] = ()
    """What stands in `Annotated`, with where it is written."""

    @property
    def required(self) -> bool:
        """Return whether requests must name it."""
        return self.default is None

    @property
    def default_is_none(self) -> bool:
        """Return whether it is None where a request does not name it."""
        return isinstance(self.default, ast.Constant) and self.default.value is None

    @property
    def default_is_missing(self) -> bool:
        """Return whether it has `pydantic.MISSING`, or a sentinel, where it is not named."""
        found = names.resolve(self.default, self.owner)
        return found is not None and (found.name in _MISSING or _is_sentinel(self.default, found))


_MISSING: Final = frozenset(
    {
        *("pydantic.MISSING", "pydantic_core.MISSING", "pydantic_core.core_schema.MISSING"),
        "pydantic.experimental.missing_sentinel.MISSING",
    }
)


def _is_sentinel(default: ast.expr | None, found: Ref) -> bool:
    """Return whether a default is an object that stands for nothing: `UNSET = object()`."""
    if not isinstance(default, ast.Name | ast.Attribute):
        return False
    if found.name == "builtins.object":
        return True
    cls = found.cls
    return cls is not None and not names.is_a(found, "enum.Enum", *_MODELS) and not _has_data(cls)


def _has_data(cls: Class) -> bool:
    return bool(cls.attributes) or any(
        isinstance(one, Assigned) for bindings in cls.names.values() for one in bindings
    )


def is_model(ref: Ref | None) -> bool:
    """Return whether something is, or is of, a Pydantic model of the project."""
    return ref is not None and ref.cls is not None and names.is_a(ref, *_MODELS)


def is_model_class(cls: Class) -> bool:
    """Return whether a class of the project is a Pydantic model."""
    return names.is_a(Ref.of(cls), *_MODELS)


def refusing_null(cls: Class) -> frozenset[str]:
    """Return the fields for which a validator of a model refuses None."""
    found: set[str] = set()
    for base in names.bases(cls):
        for method in base.cls.methods if base.cls is not None else ():
            for decorator in method.node.decorator_list:
                found |= _refused(decorator, method, cls)
    found |= {name for name, field in fields(cls).items() if _is_checked(field)}
    return frozenset(found)


def _refused(decorator: ast.expr, method: Function, cls: Class) -> set[str]:
    """Return the fields for which a decorator makes of a method what may refuse None.

    Validators of other libraries are believed: they refuse what they name.
    """
    if not isinstance(decorator, ast.Call):
        return set()
    called = names.resolve(decorator.func, method.around)
    name = "" if called is None else called.name
    if name in _VALIDATORS and not _refuses_none(method):
        return set()
    given = [*decorator.args, *(one.value for one in decorator.keywords)]
    named = {one.value for one in given if isinstance(one, ast.Constant)}
    if name in _WHOLE or (name in _VALIDATORS and "*" in named):
        return set(fields(cls))
    if last_name(decorator.func) in _SAYING:
        return set()
    return {one for one in named if isinstance(one, str)}


_SAYING: Final = frozenset({"field_serializer", "model_serializer", "computed_field", "deprecated"})
"""Decorators that check nothing."""
_WHOLE: Final = frozenset({"pydantic.model_validator", "pydantic.root_validator"})
_VALIDATORS: Final = _WHOLE | {"pydantic.field_validator", "pydantic.validator"}
_CHECKS: Final = frozenset(
    f"pydantic.{package}{name}"
    for package in ("", "functional_validators.")
    for name in ("AfterValidator", "BeforeValidator", "PlainValidator", "WrapValidator")
)


def _is_checked(field: Field) -> bool:
    """Return whether `Annotated[..., AfterValidator(function)]` may refuse None."""
    for one, scope in field.metadata:
        called = names.resolve(one.func, scope) if isinstance(one, ast.Call) else None
        if isinstance(one, ast.Call) and called is not None and called.name in _CHECKS:
            given = names.resolve(one.args[0], scope) if one.args else None
            if given is None or given.function is None or _refuses_none(given.function):
                return True
    return False


def _refuses_none(function: Function, hops: int = 2) -> bool:
    """Return whether a function may raise where something is None, or empty."""
    for node in walk(function.node):
        match node:
            case ast.If(test=test, body=body) if any(isinstance(one, ast.Raise) for one in body):
                if _asks_for_none(test):
                    return True
            case ast.Assert(test=test) if _asks_for_none(test):
                return True
            case ast.Call(func=ast.Name() as func) if hops and _may_refuse(func, function, hops):
                return True
            case _:
                pass
    return False


def _may_refuse(func: ast.Name, function: Function, hops: int) -> bool:
    """Return whether a function that is called may refuse None; of unknown ones nobody knows."""
    ref = names.resolve(func, function)
    if ref is None:
        return True
    return ref.function is not None and _refuses_none(ref.function, hops - 1)


def _asks_for_none(test: ast.expr) -> bool:
    return any(
        (isinstance(node, ast.Constant) and node.value is None)
        or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))
        for node in walk(test)
    )


def fields(cls: Class) -> dict[str, Field]:
    """Return the fields of a model by name; those of its bases first."""
    found: dict[str, Field] = {}
    chain = [base.cls for base in names.bases(cls) if base.cls is not None]
    for one in reversed(chain):
        for name, bindings in one.names.items():
            for binding in bindings:
                if isinstance(binding, Assigned) and binding.annotation is not None:
                    made = _field(name, binding, one)
                    if made is not None:
                        found[name] = made
    return found


def _field(name: str, assigned: Assigned, owner: Class) -> Field | None:
    if name.startswith("_") or name == "model_config" or _is_class_variable(assigned, owner):
        return None
    annotation, scope, metadata = annotations.unwrap(assigned.annotation, owner)
    default = _default(assigned.value, owner)
    if assigned.value is None:
        for one, where in metadata:
            default = default or _default(one, where, only_calls=True)
    nullable = takes_none(annotation, scope)
    return Field(name, annotation, default, nullable, owner, tuple(metadata))


def _is_class_variable(assigned: Assigned, owner: Class) -> bool:
    annotation = assigned.annotation
    base = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    found = names.resolve(base, owner)
    return found is not None and found.name == "typing.ClassVar"


def _default(value: ast.expr | None, scope: Scope, *, only_calls: bool = False) -> ast.expr | None:
    """Return the default in `value`, or in `Field(...)`; None where it is required."""
    if isinstance(value, ast.Call):
        called = names.resolve(value.func, scope)
        if called is not None and called.name.rpartition(".")[2] in _FIELDS:
            return _field_default(value)
    if only_calls or (isinstance(value, ast.Constant) and value.value is ...):
        return None
    return value


_FIELDS: Final = frozenset({"Field", "Body", "Form", "Query"})


def _field_default(call: ast.Call) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg in {"default", "default_factory"}:
            value = keyword.value
            return None if isinstance(value, ast.Constant) and value.value is ... else value
    if call.args and not (isinstance(call.args[0], ast.Constant) and call.args[0].value is ...):
        return call.args[0]
    return None


def takes_none(annotation: ast.expr | None, scope: Scope) -> bool:
    """Return whether an annotation takes None, also behind aliases and quotes."""
    annotation, scope, _ = annotations.unwrap(annotation, scope)
    match annotation:
        case ast.Constant(value=value):
            return value is None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return takes_none(left, scope) or takes_none(right, scope)
        case ast.Subscript(value=value, slice=inside):
            return _generic_takes_none(names.resolve(value, scope), inside, scope)
        case ast.Name() | ast.Attribute():
            base = names.resolve(annotation, scope)
            return base is not None and base.name in _ANYTHING
        case _:
            return False


_ANYTHING: Final = frozenset({"typing.Any", "types.NoneType"})


def _generic_takes_none(base: Ref | None, inside: ast.expr, scope: Scope) -> bool:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    match "" if base is None else base.name:
        case "typing.Optional":
            return True
        case "typing.Union":
            return any(takes_none(part, scope) for part in parts)
        case "typing.Literal":
            return any(isinstance(one, ast.Constant) and one.value is None for one in parts)
        case "typing.Final" | "typing.Required" | "typing.NotRequired" | "typing.ReadOnly":
            return takes_none(parts[0], scope)
        case _:
            return False
