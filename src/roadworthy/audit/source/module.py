"""`Module`, `Class`, `Function`: what a file defines, and the names it binds."""

import ast
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from roadworthy.audit.model.place import Place
from roadworthy.audit.source.flow import Flow
from roadworthy.audit.source.nodes import walk, written

__all__ = [
    "Assigned",
    "Binding",
    "Class",
    "Function",
    "Imported",
    "Module",
    "Param",
    "Project",
    "Scope",
    "bodies",
]

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
T = TypeVar("T")


class Project(Protocol):
    """The files that a module may import from, as far as a module knows them."""

    root: Path
    facts: dict[Hashable, Any]
    """What was found out once about functions, classes and modules."""
    lasting: dict[Hashable, Any]
    """What was found out once, in texts and numbers: it holds when trees are let go."""

    def module(self, path: str) -> "Module | None":
        """Return the module in a file, or None where it cannot be parsed."""
        ...

    def find(self, dotted: str, importer: str) -> "Module | None":
        """Return the module that `import dotted` means in a file."""
        ...

    def find_relative(self, level: int, dotted: str, importer: str) -> "Module | None":
        """Return the module that `from ..dotted import` means in a file."""
        ...

    def mentioning(self, text: bytes, pattern: bytes = b"", *, near: str = "") -> list[str]:
        """Return the files that hold a text, and match a pattern; in one project, or in all."""
        ...

    def project(self, path: str) -> str:
        """Return the folder of the project that a file belongs to."""
        ...

    def naming(self, name: str, near: str) -> list[str]:
        """Return the files that hold a name as a word, in the project of a file."""
        ...

    def defining(self, name: str) -> list[str]:
        """Return the files that define functions of a name."""
        ...

    def constructing(self, name: str) -> list[str]:
        """Return the files that call what has the name of a class."""
        ...

    def the(self, kind: "Callable[[Project], T]") -> T:
        """Return the one object of a kind that is made for these files."""
        ...


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that an import binds."""

    module: str
    """Dotted, without the dots in front."""
    name: str | None
    """What is taken from the module, or None for the module."""
    level: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """A name that is given a value, an annotation, or both."""

    value: ast.expr | None
    annotation: ast.expr | None = None
    how: str = "="
    """`=`, `with`, `for`, or `[]` where it is unpacked from a value."""
    at: int = 0
    """Its place, where it is unpacked."""


@dataclass(frozen=True, slots=True, eq=False)
class Param:
    """A parameter of a function."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    node: ast.arg


class Module:
    """A file: what it imports, defines and assigns."""

    def __init__(self, codebase: Project, path: str, tree: ast.Module, source: bytes) -> None:
        self.codebase = codebase
        self.path = path
        self.tree = tree
        self.source = source
        self.module = self
        self.outer: Scope | None = None
        self.qualname = ""
        self.functions: list[Function] = []
        """All, also methods and those inside others, in the order of their lines."""
        self.classes: list[Class] = []
        self.names: dict[str, list[Binding]] = {}
        self.stars: list[Imported] = []
        """Modules from which all names are imported."""
        _bind(tree.body, self, self)

    def __repr__(self) -> str:
        return f"<Module {self.path}>"

    def release(self) -> None:
        """Let go of all that it holds: what points in circles is else collected late."""
        for scope in (*self.functions, *self.classes, self):
            scope.__dict__.clear()

    @cached_property
    def text(self) -> str:
        """Return the source."""
        return self.source.decode(errors="replace")

    @cached_property
    def flow(self) -> Flow:
        """Return what happens when it is imported."""
        return Flow(self.tree.body)

    def place(self, node: ast.AST, scope: "Scope | None" = None) -> Place:
        """Return where a node is."""
        line = getattr(node, "lineno", 1)
        end = getattr(node, "end_lineno", line) or line
        return Place(
            path=self.path,
            line=line,
            column=getattr(node, "col_offset", 0) + 1,
            end_line=end,
            where="" if scope is None else scope.qualname,
            code=written(node) if hasattr(node, "lineno") else "",
        )


class Class:
    """A class, its own names and its bases."""

    def __init__(self, node: ast.ClassDef, module: Module, outer: "Scope") -> None:
        self.node = node
        self.name = node.name
        self.module = module
        self.outer: Scope | None = outer
        self.qualname: str = f"{outer.qualname}.{node.name}".lstrip(".")
        self.names: dict[str, list[Binding]] = {}
        module.classes.append(self)
        _bind(node.body, self, module)

    def __repr__(self) -> str:
        return f"<Class {self.module.path}:{self.qualname}>"

    @property
    def methods(self) -> "Iterator[Function]":
        """Return its own methods."""
        for bindings in self.names.values():
            yield from (found for found in bindings if isinstance(found, Function))

    @cached_property
    def attributes(self) -> "dict[str, list[tuple[Assigned, Function]]]":
        """Return what its methods assign to `self`, with the method."""
        found: dict[str, list[tuple[Assigned, Function]]] = {}
        for method in self.methods:
            for name, value, annotation in method.flow.self_assigned:
                found.setdefault(name, []).append((Assigned(value, annotation), method))
        return found


class Function:
    """A function or method, with what happens in it."""

    def __init__(self, node: FunctionNode, module: Module, outer: "Scope") -> None:
        self.node = node
        self.name = node.name
        self.module = module
        self.outer: Scope | None = outer
        self.cls = outer if isinstance(outer, Class) else None
        self.qualname: str = f"{outer.qualname}.{node.name}".lstrip(".")
        self.is_async = isinstance(node, ast.AsyncFunctionDef)
        module.functions.append(self)
        self.names: dict[str, list[Binding]] = {}
        _bind(node.body, self, module)

    def __repr__(self) -> str:
        return f"<Function {self.module.path}:{self.qualname}>"

    @cached_property
    def flow(self) -> Flow:
        """Return what happens in its body, without that of functions inside it."""
        return Flow(self.node.body)

    @property
    def around(self) -> "Scope":
        """Return where its defaults, annotations and decorators are looked up."""
        return self.outer or self.module

    @cached_property
    def params(self) -> tuple[Param, ...]:
        """Return its parameters, `self` included; `*args` and `**options` are left out."""
        arguments = self.node.args
        placed = [*arguments.posonlyargs, *arguments.args]
        missing: list[ast.expr | None] = [None] * (len(placed) - len(arguments.defaults))
        defaults = [*missing, *arguments.defaults]
        named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        pairs = [*zip(placed, defaults, strict=True), *named]
        return tuple(Param(arg.arg, arg.annotation, default, arg) for arg, default in pairs)

    def param(self, name: str) -> Param | None:
        """Return a parameter by its name."""
        return next((param for param in self.params if param.name == name), None)

    @property
    def is_generator(self) -> bool:
        """Return whether it yields."""
        return bool(self.flow.yields)

    @property
    def is_bound(self) -> bool:
        """Return whether an instance fills in its first parameter."""
        return self.cls is not None and not any(
            isinstance(decorator, ast.Name) and decorator.id == "staticmethod"
            for decorator in self.node.decorator_list
        )

    @cached_property
    def inner(self) -> "tuple[Function, ...]":
        """Return the functions that are defined in it."""
        return tuple(found for found in self.module.functions if found.outer is self)

    def place(self, node: ast.AST | None = None) -> Place:
        """Return where something in it is; without a node, where its signature is."""
        if node is not None:
            return self.module.place(node, self)
        first = self.module.place(self.node.args, self)
        return Place(
            path=first.path,
            line=self.node.lineno,
            column=self.node.col_offset + 1,
            end_line=self.node.lineno,
            where=self.qualname,
            code=f"def {self.node.name}",
        )


Scope: TypeAlias = Module | Class | Function
"""Where names are bound."""
Binding: TypeAlias = Imported | Assigned | Class | Function
"""What a name is bound to."""


def _bind(body: list[ast.stmt], scope: Scope, module: Module) -> None:
    """Note every name that statements bind, also inside blocks."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                _add(scope, statement.name, Function(statement, module, scope))
            case ast.ClassDef():
                _add(scope, statement.name, Class(statement, module, scope))
            case ast.Import() | ast.ImportFrom():
                _bind_import(statement, scope, module)
            case ast.Assign():
                for target in statement.targets:
                    _bind_target(target, Assigned(statement.value), scope)
            case ast.AnnAssign():
                assigned = Assigned(statement.value, statement.annotation)
                _bind_target(statement.target, assigned, scope)
            case _:
                _bind_block(statement, scope, module)


def _bind_block(statement: ast.stmt, scope: Scope, module: Module) -> None:
    """Note what a statement with blocks binds itself, then what its blocks bind."""
    match statement:
        case ast.With() | ast.AsyncWith():
            for item in statement.items:
                if item.optional_vars is not None:
                    _bind_target(item.optional_vars, Assigned(item.context_expr, how="with"), scope)
        case ast.For() | ast.AsyncFor():
            _bind_target(statement.target, Assigned(statement.iter, how="for"), scope)
        case ast.If() | ast.While():
            _bind_walrus(statement.test, scope)
        case _:
            _bind_alias(statement, scope)
    for body in bodies(statement):
        _bind(body, scope, module)


def bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Return the blocks of a statement."""
    for part in ("body", "orelse", "finalbody"):
        yield getattr(statement, part, None) or []
    for part in ("handlers", "cases"):
        yield from (one.body for one in getattr(statement, part, ()))


def _bind_walrus(test: ast.expr, scope: Scope) -> None:
    for node in walk(test):
        if isinstance(node, ast.NamedExpr):
            _bind_target(node.target, Assigned(node.value), scope)


def _bind_alias(statement: ast.stmt, scope: Scope) -> None:
    """Note `type Name = value`, which Python reads from 3.12 on."""
    if type(statement).__name__ == "TypeAlias":
        newer: Any = statement
        _bind_target(newer.name, Assigned(newer.value), scope)


def _bind_target(target: ast.expr, assigned: Assigned, scope: Scope) -> None:
    match target:
        case ast.Name():
            _add(scope, target.id, assigned)
        case ast.Tuple() | ast.List():
            for at, part in enumerate(target.elts):
                _bind_target(part, Assigned(assigned.value, how=f"{assigned.how}[]", at=at), scope)
        case _:
            pass


def _bind_import(statement: ast.Import | ast.ImportFrom, scope: Scope, module: Module) -> None:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            dotted = alias.name if alias.asname else alias.name.partition(".")[0]
            _add(scope, alias.asname or dotted, Imported(dotted, None))
        return
    for alias in statement.names:
        imported = Imported(statement.module or "", alias.name, statement.level)
        if alias.name == "*":
            module.stars.append(imported)
        else:
            _add(scope, alias.asname or alias.name, imported)


def _add(scope: Scope, name: str, binding: Binding) -> None:
    scope.names.setdefault(name, []).append(binding)
