"""What an expression stands for: questions to the resolver of its codebase."""

import ast

from roadworthy.audit.source import libraries
from roadworthy.audit.source.module import Class, Function, Imported, Module, Scope
from roadworthy.audit.source.ref import Ref
from roadworthy.audit.source.resolver import resolver_of

__all__ = [
    "bases",
    "is_a",
    "look_up",
    "member",
    "resolve",
    "result_of",
    "source",
    "type_of",
]


def resolve(node: ast.expr | None, scope: Scope) -> Ref | None:
    """Return what an expression stands for where it is written, or None."""
    return resolver_of(scope).resolve(node, scope)


def type_of(annotation: ast.expr | None, scope: Scope) -> Ref | None:
    """Return an instance of what an annotation says, or None."""
    return resolver_of(scope).type_of(annotation, scope)


def look_up(name: str, scope: Scope) -> Ref | None:
    """Return what a name stands for in a scope, or the scopes around it."""
    return resolver_of(scope).look_up(name, scope)


def source(imported: Imported, module: Module) -> Module | None:
    """Return the module of the project that an import takes something from."""
    return resolver_of(module).source(imported, module)


def member(base: Ref, name: str) -> Ref | None:
    """Return an attribute of something."""
    if base.entity is None:
        return libraries.member(base, name)
    return resolver_of(base.entity).member(base, name)


def bases(cls: Class) -> tuple[Ref, ...]:
    """Return a class and what it inherits from, near ones first."""
    return resolver_of(cls).bases(cls)


def is_a(ref: Ref | None, *names: str) -> bool:
    """Return whether something is, or is of, a library's class, or inherits it."""
    if ref is None:
        return False
    if ref.cls is None:
        return ref.name in names
    return any(base.name in names for base in bases(ref.cls))


def result_of(function: Function) -> Ref | None:
    """Return what a function returns; of one that yields once, what it yields."""
    return resolver_of(function).result_of(function)
