"""`Resolver`: what an expression stands for, through imports, types and calls.

Nothing is imported and nothing runs: where the code does not tell, the answer is None.
Every question is remembered, also one without an answer, so that its cost grows with the
number of names and not with the ways between them.
"""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.source import arguments, entries_set, libraries, rows
from roadworthy.audit.source.aliases import Aliases
from roadworthy.audit.source.memory import Memory
from roadworthy.audit.source.module import (
    Assigned,
    Binding,
    Class,
    Function,
    Imported,
    Module,
    Project,
    Scope,
)
from roadworthy.audit.source.ref import Ref

__all__ = ["Resolver", "resolver_of"]


def resolver_of(scope: Scope) -> "Resolver":
    """Return the resolver of the codebase that a scope is written in."""
    return scope.module.codebase.the(Resolver)


class Resolver(Aliases):
    """What the names of one codebase lead to, with its memory."""

    def __init__(self, codebase: Project) -> None:
        self.codebase = codebase
        self.memory = Memory()
        self._bases: dict[Class, tuple[Ref, ...]] = {}

    def resolve(self, node: ast.expr | None, scope: Scope) -> Ref | None:
        """Return what an expression stands for where it is written, or None."""
        if node is None or type(node) in _SILENT:
            return None
        if isinstance(node, ast.Name):
            return self.look_up(node.id, scope)
        return self.memory.ask((node, scope), lambda: self._resolve(node, scope))

    def type_of(self, annotation: ast.expr | None, scope: Scope) -> Ref | None:
        """Return an instance of what an annotation says, or None."""
        if annotation is None:
            return None
        key = ("type", annotation, scope)
        return self.memory.ask(key, lambda: self._annotation(annotation, scope))

    def _resolve(self, node: ast.expr, scope: Scope) -> Ref | None:  # noqa: PLR0911 - a table
        match node:
            case ast.Attribute(value=value, attr=attr):
                base = self.resolve(value, scope)
                return None if base is None else self.member(base, attr)
            case ast.Call():
                return self._called(node, scope)
            case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
                return self.resolve(value, scope)
            case ast.BoolOp(values=values):
                return self._first(values, scope)
            case ast.IfExp(body=body, orelse=orelse):
                return self._first([body, orelse], scope)
            case ast.Subscript(value=value):
                return self._subscript(node, self.resolve(value, scope), scope)
            case ast.BinOp(left=left, op=ast.Div()):
                found = self.resolve(left, scope)
                return found if found is not None and found.name in libraries.PATHS else None
            case _:
                return self._literal(node, scope)

    def _literal(self, node: ast.expr, scope: Scope) -> Ref | None:
        """Return an instance of the built-in type that an expression makes by its form."""
        match node:
            case ast.Constant(value=value) if value is not None and value is not ...:
                return Ref(f"builtins.{type(value).__name__}", is_instance=True)
            case ast.List(elts=elements):
                first = tuple(self.resolve(one, scope) for one in elements[:1])
                return Ref("builtins.list", None, is_instance=True, args=first)
            case ast.ListComp(elt=element):
                inside = (self.resolve(element, scope),)
                return Ref("builtins.list", None, is_instance=True, args=inside)
            case ast.Tuple(elts=elements):
                all_ = tuple(self.resolve(one, scope) for one in elements)
                return Ref("builtins.tuple", None, is_instance=True, args=all_)
            case _:
                name = _FORMS.get(type(node))
                return None if name is None else Ref(f"builtins.{name}", is_instance=True)

    def _first(self, nodes: list[ast.expr], scope: Scope) -> Ref | None:
        found = (self.resolve(node, scope) for node in nodes)
        return next((one for one in found if one is not None), None)

    # --- names ---

    def look_up(self, name: str, scope: Scope) -> Ref | None:
        """Return what a name stands for in a scope, or the scopes around it."""
        here: Scope | None = scope
        while here is not None:
            if isinstance(here, Function) and here.param(name) is not None:
                return self._of_parameter(here, name)
            if name in here.names and not (isinstance(here, Class) and here is not scope):
                return self._bound(name, here)
            here = here.outer
        return self._from_stars(name, scope.module) or _builtin(name)

    def _of_parameter(self, function: Function, name: str) -> Ref | None:
        key = ("parameter", function, name)
        found = self.memory.ask(key, lambda: self._parameter(function, name))
        if found is not None or name not in function.names:
            return found
        return self._bound(name, function)

    def _bound(self, name: str, scope: Scope) -> Ref | None:
        key = ("name", scope, name)
        return self.memory.ask(key, lambda: self._of_bindings(scope.names[name], scope))

    def _of_bindings(self, bindings: list[Binding], scope: Scope) -> Ref | None:
        found = (self._binding(one, scope) for one in bindings)
        return next((ref for ref in found if ref is not None), None)

    def _binding(self, binding: Binding, scope: Scope) -> Ref | None:
        match binding:
            case Imported():
                return self._imported(binding, scope.module)
            case Assigned():
                return self._assigned(binding, scope)
            case _:
                return Ref.of(binding)

    def _assigned(self, assigned: Assigned, scope: Scope) -> Ref | None:
        if assigned.annotation is not None:
            found = self.type_of(assigned.annotation, scope)
            if found is not None and found.name != "typing.TypeAlias":
                return found
        value = self.resolve(assigned.value, scope)
        if value is None:
            return None
        how = assigned.how
        if how.startswith("with"):
            value = self._entered(value)
        elif how.startswith("for"):
            value = _element(value)
        if how.endswith("[]") and value is not None:
            value = _element(value, assigned.at)
        return value

    def _entered(self, value: Ref) -> Ref | None:
        """Return what `with value as name` gives the name."""
        if value.cls is not None and value.is_instance:
            for name in ("__aenter__", "__enter__"):
                enter = self.member(value, name)
                if enter is not None and enter.function is not None:
                    return self.result_of(enter.function) or value
        return value

    def _imported(self, imported: Imported, module: Module) -> Ref | None:
        found = self.source(imported, module)
        if imported.name is None:
            return Ref.of(found) if found is not None else _external(imported.module)
        if found is None:
            whole = f"{imported.module}.{imported.name}"
            return self._submodule(imported, module) or _external(whole)
        ref = self.look_up_in(found, imported.name)
        return ref if ref is not None else self._submodule(imported, module)

    def _submodule(self, imported: Imported, module: Module) -> Ref | None:
        dotted = f"{imported.module}.{imported.name}".lstrip(".")
        found = self.source(Imported(dotted, None, imported.level), module)
        return None if found is None else Ref.of(found)

    def source(self, imported: Imported, module: Module) -> Module | None:
        """Return the module of the project that an import takes something from."""
        if imported.level:
            return self.codebase.find_relative(imported.level, imported.module, module.path)
        return self.codebase.find(imported.module, module.path)

    def look_up_in(self, module: Module, name: str) -> Ref | None:
        """Return what a module's name stands for, also where it comes from a star."""
        if name in module.names:
            return self._bound(name, module)
        return self._from_stars(name, module)

    def _from_stars(self, name: str, module: Module) -> Ref | None:
        if not module.stars:
            return None
        return self.memory.ask(("star", module, name), lambda: self._starred_ref(name, module))

    def _starred_ref(self, name: str, module: Module) -> Ref | None:
        for star in module.stars:
            found = self.source(star, module)
            if found is not None and found is not module and (ref := self.look_up_in(found, name)):
                return ref
        return None

    def _parameter(self, function: Function, name: str) -> Ref | None:
        param = function.param(name)
        if param is None:
            return None
        if function.is_bound and param is function.params[0] and function.cls is not None:
            ref = Ref.of(function.cls)
            return ref if name == "cls" else ref.instance
        found = self.type_of(param.annotation, function.around)
        if found is None or found.name in libraries.VAGUE:
            injected = self._injected(param.default, function.around)
            return injected or self._given(function, name) or found
        return found

    def _given(self, function: Function, name: str) -> Ref | None:
        """Return what every call that makes an object of a class gives a parameter."""
        cls = function.cls
        if cls is None or function.name != "__init__":
            return None
        found = [
            given
            for value, scope in arguments.of_objects(self.codebase, self.resolve, cls, name)
            if (given := self.resolve(value, scope)) is not None
        ]
        return found[0] if len({one.name for one in found}) == 1 else None

    def _injected(self, default: ast.expr | None, scope: Scope) -> Ref | None:
        """Return what `= Depends(target)` gives a parameter."""
        asked = self.asked_for(default, scope)
        if asked is None:
            return None
        call, where = asked
        target = self.resolve(call.args[0], where) if call.args else None
        if target is not None and target.function is not None:
            return self.result_of(target.function)
        return None if target is None else self._call(target, call, where)

    # --- attributes and classes ---

    def member(self, base: Ref, name: str) -> Ref | None:
        """Return an attribute of something."""
        entity = base.entity
        if isinstance(entity, Module):
            return self.look_up_in(entity, name) or self._child(entity, name)
        if isinstance(entity, Class):
            return self.memory.ask(("member", entity, name), lambda: self._of_class(entity, name))
        if entity is not None or base.name in libraries.VAGUE:
            return None
        return libraries.member(base, name)

    def _child(self, module: Module, name: str) -> Ref | None:
        if not module.path.endswith("__init__.py"):
            return None
        found = self.codebase.find_relative(1, name, module.path)
        return None if found is None else Ref.of(found)

    def _of_class(self, cls: Class, name: str) -> Ref | None:
        for one in self.bases(cls):
            if one.cls is None:
                if one.name not in libraries.VAGUE and not one.name.startswith("builtins."):
                    return one.member(name)
                continue
            if (found := self._own_member(one.cls, name)) is not None:
                return found
        return None

    def _own_member(self, cls: Class, name: str) -> Ref | None:
        for binding in cls.names.get(name, ()):
            if isinstance(binding, Function) and _is_property(binding):
                return self.result_of(binding)
            if (found := self._binding(binding, cls)) is not None:
                return found
        for assigned, method in cls.attributes.get(name, ()):
            if (found := self._assigned(assigned, method)) is not None:
                return found
        return None

    def bases(self, cls: Class) -> tuple[Ref, ...]:
        """Return a class and what it inherits from, near ones first."""
        if cls not in self._bases:
            self._bases[cls] = (Ref.of(cls),)  # where its bases lead back to it
            self._bases[cls] = tuple(self._ancestry(cls))
        return self._bases[cls]

    def _ancestry(self, cls: Class) -> Iterator[Ref]:
        seen: set[str] = set()
        waiting = [Ref.of(cls)]
        while waiting:
            ref = waiting.pop(0)
            if ref.name in seen:
                continue
            seen.add(ref.name)
            yield ref
            if ref.cls is not None:
                scope = ref.cls.outer or ref.cls.module
                found = (self.resolve(base, scope) for base in ref.cls.node.bases)
                waiting += [base for base in found if base is not None]

    def is_a(self, ref: Ref | None, *names: str) -> bool:
        """Return whether something is, or is of, a library's class, or inherits it."""
        if ref is None:
            return False
        if ref.cls is None:
            return ref.name in names
        return any(base.name in names for base in self.bases(ref.cls))

    # --- calls ---

    def _called(self, node: ast.Call, scope: Scope) -> Ref | None:
        def resolve(argument: ast.expr) -> Ref | None:
            return self.resolve(argument, scope)

        if isinstance(node.func, ast.Attribute):
            owner = resolve(node.func.value)
            if owner is None or owner.entity is None:
                found = rows.loaded(owner, node.func.attr, node, resolve)
                if found is not None:
                    return found
        function = resolve(node.func)
        return None if function is None else self._call(function, node, scope)

    def _call(self, function: Ref, node: ast.Call, scope: Scope) -> Ref | None:
        if function.cls is not None:
            if not function.is_instance:
                return function.instance
            made = self.member(function, "__call__")
            called = None if made is None else made.function
            return None if called is None else self.result_of(called)
        if function.function is not None:
            return self.result_of(function.function)
        if function.entity is not None:
            return None
        return libraries.result(function, node, lambda one: self.resolve(one, scope))

    def result_of(self, function: Function) -> Ref | None:
        """Return what a function returns; of one that yields once, what it yields."""
        return self.memory.ask(("result", function), lambda: self._result_of(function))

    def _result_of(self, function: Function) -> Ref | None:
        annotated = self.type_of(function.node.returns, function.around)
        if annotated is not None and annotated.name not in libraries.VAGUE:
            if annotated.name not in libraries.ITERATORS or not function.is_generator:
                return annotated
            if annotated.args:
                return annotated.args[0]
        events = function.flow.yields or function.flow.returns
        values: list[ast.expr | None] = [getattr(event.node, "value", None) for event in events]
        found = (self.resolve(value, function) for value in values)
        return next((ref for ref in found if ref is not None), annotated)

    def _subscript(self, node: ast.Subscript, base: Ref | None, scope: Scope) -> Ref | None:
        if base is None:
            return None
        if base.name == "pymongo.MongoClient":
            return base.member("database")
        if base.is_instance:
            return _element(base) or self._first_set(node, scope)
        if base.name in libraries.SPECIAL_FORMS:
            found = self._annotation(node, scope)
            return None if found is None else found.type
        return base

    def _first_set(self, node: ast.Subscript, scope: Scope) -> Ref | None:
        """Return what a module keeps under a key of a collection of its own."""
        kept = entries_set.under(node, scope)
        found = (self.resolve(value, where) for value, where in kept)
        return next((one for one in found if one is not None), None)

    # --- annotations ---

    def _annotation(self, node: ast.expr, scope: Scope) -> Ref | None:
        match node:
            case ast.Constant(value=str() as text):
                return self.type_of(self.quoted(text), scope)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._union([left, right], scope)
            case ast.Subscript():
                return self._generic(node, scope)
            case ast.Name() | ast.Attribute():
                return self._named_type(node, scope)
            case _:
                return None

    def _union(self, nodes: list[ast.expr], scope: Scope) -> Ref | None:
        found = (self.type_of(node, scope) for node in nodes if not _is_none(node))
        return next((one for one in found if one is not None), None)

    def _named_type(self, node: ast.expr, scope: Scope) -> Ref | None:
        alias = self.alias(node, scope)
        if alias is not None:
            return self.type_of(*alias)
        found = self.resolve(node, scope)
        if found is None or found.function is not None or isinstance(found.entity, Module):
            return None
        return found.instance

    def _generic(self, node: ast.Subscript, scope: Scope) -> Ref | None:
        base = self.resolve(node.value, scope)
        if base is None:
            return None
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if base.name in libraries.WRAPPERS:
            return self.type_of(inside[0], scope)
        if base.name == "typing.Union":
            return self._union(inside, scope)
        if base.name in {"typing.Type", "builtins.type"}:
            found = self.type_of(inside[0], scope)
            return None if found is None else found.type
        args = tuple(self.type_of(one, scope) for one in inside)
        return Ref(base.name, base.entity, is_instance=True, args=args)


_SILENT: Final = frozenset({ast.Compare, ast.UnaryOp, ast.Lambda, ast.Slice})
"""Expressions that stand for nothing that has a name."""
_FORMS: Final[dict[type[ast.expr], str]] = {
    ast.JoinedStr: "str",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
}


def _element(value: Ref, at: int = 0) -> Ref | None:
    if value.name == "builtins.tuple" and len(value.args) > at:
        return value.args[at]
    if value.name in libraries.COLLECTIONS and value.args:
        return value.args[-1] if value.name in libraries.MAPPINGS else value.args[0]
    return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _external(dotted: str) -> Ref:
    return Ref(libraries.canonical(dotted))


def _builtin(name: str) -> Ref | None:
    return _external(f"builtins.{name}") if name in libraries.BUILTINS else None


def _is_property(function: Function) -> bool:
    for decorator in function.node.decorator_list:
        name = decorator.attr if isinstance(decorator, ast.Attribute) else ""
        name = decorator.id if isinstance(decorator, ast.Name) else name
        if name in {"property", "cached_property", "computed_field"}:
            return True
    return False
