"""Ask the resolver what stands behind the name of a type or a `Depends`."""

import ast

from roadworthy.audit.source.module import Assigned, Scope

__all__ = ["alias", "asked_for", "definition", "unwrap"]


def alias(node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """Return what `Name = Annotated[...]` or `Name = A | B` says, and where."""
    return scope.module.codebase.resolver.alias(node, scope)


def definition(node: ast.expr, scope: Scope) -> tuple[Assigned, Scope] | None:
    """Return the assignment that a name leads to, through imports, and its scope."""
    return scope.module.codebase.resolver.definition(node, scope)


def unwrap(
    annotation: ast.expr | None, scope: Scope
) -> tuple[ast.expr | None, Scope, list[tuple[ast.expr, Scope]]]:
    """Return an annotation, its scope, and its metadata with their scopes."""
    return scope.module.codebase.resolver.unwrap(annotation, scope)


def asked_for(node: ast.expr | None, scope: Scope) -> tuple[ast.Call, Scope] | None:
    """Return the `Depends(...)` that an expression leads to, and its scope."""
    return scope.module.codebase.resolver.asked_for(node, scope)
