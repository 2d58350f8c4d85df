"""What stands behind the name of a type, such as `SessionDep`."""

import ast

from roadworthy.audit import names
from roadworthy.audit.module import Assigned, Class, Imported, Module, Scope

__all__ = ["alias", "definition", "unwrap"]


def alias(node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """Return what `Name = Annotated[...]` or `Name = A | B` says, and where."""
    found = definition(node, scope)
    if found is None:
        return None
    assigned, where = found
    value = assigned.value
    is_alias = isinstance(value, ast.Subscript | ast.BinOp) or (
        isinstance(value, ast.Name | ast.Attribute) and isinstance(where, Module)
    )
    return (value, where) if is_alias and value is not None else None


def definition(node: ast.expr, scope: Scope) -> tuple[Assigned, Scope] | None:
    """Return the assignment that a name leads to, through imports, and its scope."""
    match node:
        case ast.Name(id=name):
            here: Scope | None = scope
            while here is not None and name not in here.names:
                here = here.outer
            if here is not None:
                return _definition_in(here, name)
            return _starreddefinition(name, scope.module)
        case ast.Attribute(value=value, attr=attr):
            base = names.resolve(value, scope)
            owner = None if base is None else base.entity
            return _definition_in(owner, attr) if isinstance(owner, Module | Class) else None
        case _:
            return None


def _definition_in(scope: Scope, name: str, hops: int = 0) -> tuple[Assigned, Scope] | None:
    if hops > names.DEEPEST:
        return None
    for binding in scope.names.get(name, ()):
        if isinstance(binding, Assigned) and binding.how == "=":
            return binding, scope
        if isinstance(binding, Imported) and binding.name is not None:
            found = names.source(binding, scope.module)
            if found is not None:
                return _definition_in(found, binding.name, hops + 1)
    if isinstance(scope, Module) and name not in scope.names:
        return _starreddefinition(name, scope, hops + 1)
    return None


def _starreddefinition(name: str, module: Module, hops: int = 0) -> tuple[Assigned, Scope] | None:
    for star in module.stars:
        found = names.source(star, module)
        if (
            found is not None
            and found is not module
            and (made := _definition_in(found, name, hops))
        ):
            return made
    return None


def unwrap(
    annotation: ast.expr | None, scope: Scope
) -> tuple[ast.expr | None, Scope, list[tuple[ast.expr, Scope]]]:
    """Return an annotation, its scope, and its metadata with their scopes.

    Aliases of `Annotated` are followed, also into other modules.
    """
    metadata: list[tuple[ast.expr, Scope]] = []
    for _ in range(names.DEEPEST):
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = _parsed(annotation.value)
        inside = _annotated(annotation, scope)
        if inside is not None:
            metadata += [(one, scope) for one in inside[1:]]
            annotation = inside[0]
            continue
        behind = None if annotation is None else alias(annotation, scope)
        if behind is None:
            break
        annotation, scope = behind
    return annotation, scope, metadata


def _annotated(annotation: ast.expr | None, scope: Scope) -> list[ast.expr] | None:
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.slice, ast.Tuple):
        return None
    base = names.resolve(annotation.value, scope)
    return annotation.slice.elts if base is not None and base.name == "typing.Annotated" else None


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
