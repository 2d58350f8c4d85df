"""Pydantic models: their fields, with those they inherit."""

import ast
from dataclasses import dataclass
from typing import Final

from roadworthy.audit import aliases, names
from roadworthy.audit.module import Assigned, Class, Scope
from roadworthy.audit.ref import Ref

__all__ = ["Field", "fields", "is_model", "takes_none"]

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
        """Return whether it has `pydantic.MISSING` where a request does not name it."""
        found = names.resolve(self.default, self.owner)
        return found is not None and "MISSING" in found.name


def is_model(ref: Ref | None) -> bool:
    """Return whether something is, or is of, a Pydantic model of the project."""
    return ref is not None and ref.cls is not None and names.is_a(ref, *_MODELS)


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
    annotation, scope, metadata = aliases.unwrap(assigned.annotation, owner)
    default = _default(assigned.value, owner)
    if assigned.value is None:
        for one, where in metadata:
            default = default or _default(one, where, only_calls=True)
    return Field(name, annotation, default, takes_none(annotation, scope), owner)


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
    annotation, scope, _ = aliases.unwrap(annotation, scope)
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
