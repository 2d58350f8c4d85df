"""Ask the resolver what stands behind the name of a type or a `Depends`."""

import ast

from roadworthy.audit.source.module import Assigned, Scope
from roadworthy.audit.source.resolver import resolver_of

__all__ = ["alias", "asked_for", "definition", "unwrap"]


def alias(node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """Return what `Name = Annotated[...]` or `Name = A | B` says, and where."""
    return resolver_of(scope).alias(node, scope)


def definition(node: ast.expr, scope: Scope) -> tuple[Assigned, Scope] | None:
    """Return the assignment that a name leads to, through imports, and its scope."""
    return resolver_of(scope).definition(node, scope)


def unwrap(
    annotation: ast.expr | None, scope: Scope
) -> tuple[ast.expr | None, Scope, list[tuple[ast.expr, Scope]]]:
    """Return an annotation, its scope, and its metadata with their scopes."""
    return resolver_of(scope).unwrap(annotation, scope)


def asked_for(node: ast.expr | None, scope: Scope) -> tuple[ast.Call, Scope] | None:
    """Return the `Depends(...)` that an expression leads to, and its scope."""
    return resolver_of(scope).asked_for(node, scope)
