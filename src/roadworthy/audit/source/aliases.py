"""`Aliases`: follow a name, such as `SessionDep`, to its assignment."""

import ast
from abc import ABC, abstractmethod
from typing import Final

from roadworthy.audit.source import libraries
from roadworthy.audit.source.memory import Memory
from roadworthy.audit.source.module import Assigned, Class, Function, Imported, Module, Scope
from roadworthy.audit.source.ref import Ref

__all__ = ["Aliases"]

_HOPS: Final = 14
"""Names that lead to names, or modules that pass a name on, before it is given up."""


class Aliases(ABC):
    """Follow names to their assignments, through imports and stars."""

    memory: Memory

    @abstractmethod
    def resolve(self, node: ast.expr | None, scope: Scope) -> Ref | None:
        """Return what an expression stands for."""

    @abstractmethod
    def source(self, imported: Imported, module: Module) -> Module | None:
        """Return the module of the project that an import takes something from."""

    def quoted(self, text: str) -> ast.expr | None:
        """Return the expression in a text, or None; the same node for the same text."""
        return self.memory.ask(("quoted", text), lambda: _parsed(text))

    def definition(self, node: ast.expr, scope: Scope) -> tuple[Assigned, Scope] | None:
        """Return the assignment that a name leads to, through imports, and its scope."""
        match node:
            case ast.Name(id=name):
                here: Scope | None = scope
                while here is not None and name not in here.names:
                    here = here.outer
                if here is not None:
                    return self._defined(here, name)
                return self._starred(name, scope.module)
            case ast.Attribute(value=value, attr=attr):
                base = self.resolve(value, scope)
                owner = None if base is None else base.entity
                return self._defined(owner, attr) if isinstance(owner, Module | Class) else None
            case _:
                return None

    def _defined(self, scope: Scope, name: str, hops: int = 0) -> tuple[Assigned, Scope] | None:
        if hops > _HOPS:
            return None
        for binding in scope.names.get(name, ()):
            if isinstance(binding, Assigned) and binding.how == "=":
                return binding, scope
            if isinstance(binding, Imported) and binding.name is not None:
                found = self.source(binding, scope.module)
                if found is not None:
                    return self._defined(found, binding.name, hops + 1)
        if isinstance(scope, Module) and name not in scope.names:
            return self._starred(name, scope, hops + 1)
        return None

    def _starred(self, name: str, module: Module, hops: int = 0) -> tuple[Assigned, Scope] | None:
        for star in module.stars:
            found = self.source(star, module)
            if (
                found is not None
                and found is not module
                and (made := self._defined(found, name, hops))
            ):
                return made
        return None

    def alias(self, node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
        """Return what `Name = Annotated[...]` or `Name = A | B` says, and where."""
        found = self.definition(node, scope)
        if found is None:
            return None
        assigned, where = found
        value = assigned.value
        is_alias = isinstance(value, ast.Subscript | ast.BinOp) or (
            isinstance(value, ast.Name | ast.Attribute) and isinstance(where, Module)
        )
        return (value, where) if is_alias and value is not None else None

    def unwrap(
        self, annotation: ast.expr | None, scope: Scope
    ) -> tuple[ast.expr | None, Scope, list[tuple[ast.expr, Scope]]]:
        """Return an annotation, its scope, and its metadata with their scopes.

        Aliases of `Annotated` are followed, also into other modules.
        """
        metadata: list[tuple[ast.expr, Scope]] = []
        for _ in range(_HOPS):
            if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
                annotation = self.quoted(annotation.value)
            inside = self._annotated(annotation, scope)
            if inside is not None:
                metadata += [(one, scope) for one in inside[1:]]
                annotation = inside[0]
                continue
            behind = None if annotation is None else self.alias(annotation, scope)
            if behind is None:
                break
            annotation, scope = behind
        return annotation, scope, metadata

    def _annotated(self, annotation: ast.expr | None, scope: Scope) -> list[ast.expr] | None:
        match annotation:
            case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)):
                base = self.resolve(value, scope)
                return parts if base is not None and base.name == "typing.Annotated" else None
            case _:
                return None

    def asked_for(self, node: ast.expr | None, scope: Scope) -> tuple[ast.Call, Scope] | None:
        """Return the `Depends(...)` that an expression leads to, and its scope.

        It may be kept in a variable, an attribute or another module, or a function returns it.
        """
        given: list[tuple[ast.Call, Function, Scope]] = []
        for _ in range(_HOPS):
            if not isinstance(node, ast.Call):
                found = None if node is None else self.definition(node, scope)
                if found is None:
                    return None
                node, scope = found[0].value, found[1]
                continue
            called = self.resolve(node.func, scope)
            if called is not None and called.name in libraries.DEPENDS:
                return _filled(node, scope, given)
            maker = None if called is None else called.function
            if maker is None or len(maker.flow.returns) != 1:
                return None
            given.append((node, maker, scope))
            node, scope = getattr(maker.flow.returns[0].node, "value", None), maker
        return None


def _filled(
    asked: ast.Call, scope: Scope, given: list[tuple[ast.Call, Function, Scope]]
) -> tuple[ast.Call, Scope]:
    """Return `Depends(target)` with what the callers of a function that returns it gave."""
    for call, function, around in reversed(given):
        target = asked.args[0] if asked.args else None
        places = [param.name for param in function.params]
        if scope is not function or not isinstance(target, ast.Name) or target.id not in places:
            break
        named = {one.arg: one.value for one in call.keywords if one.arg is not None}
        named |= dict(zip(places, call.args, strict=False))
        if target.id not in named:
            break
        made = ast.Call(asked.func, [named[target.id]], asked.keywords)
        asked, scope = ast.copy_location(made, call), around
    return asked, scope


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
