"""What an expression stands for, through imports, types and calls.

Nothing is imported and nothing runs: where the code does not tell, the answer is None.
"""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit import aliases, libraries
from roadworthy.audit.module import Assigned, Binding, Class, Function, Imported, Module, Scope
from roadworthy.audit.ref import Ref

__all__ = [
    "bases",
    "forget",
    "is_a",
    "look_up",
    "look_up_in",
    "member",
    "resolve",
    "result_of",
    "source",
    "type_of",
]

DEEPEST: Final = 14
"""Steps after which a name that leads to a name is given up."""

_depth = 0
_cut = 0
"""How often an answer was not looked for to the end: then a None is not remembered."""
_under_way: set[tuple[int, str]] = set()
_memo: dict[tuple[int, int, bool], tuple[ast.expr, Scope, Ref | None]] = {}


def forget() -> None:
    """Let go of what was remembered of a codebase."""
    _memo.clear()


def resolve(node: ast.expr | None, scope: Scope) -> Ref | None:
    """Return what an expression stands for where it is written, or None."""
    return None if node is None else _remembered(node, scope, annotation=False)


def type_of(annotation: ast.expr | None, scope: Scope) -> Ref | None:
    """Return an instance of what an annotation says, or None."""
    return None if annotation is None else _remembered(annotation, scope, annotation=True)


def _remembered(node: ast.expr, scope: Scope, *, annotation: bool) -> Ref | None:
    global _depth, _cut  # noqa: PLW0603 - one audit runs in a process at a time
    key = (id(node), id(scope), annotation)
    if (known := _memo.get(key)) is not None:
        return known[2]
    if _depth >= DEEPEST:
        _cut += 1
        return None
    before = _cut
    _depth += 1
    try:
        found = _annotation(node, scope) if annotation else _resolve(node, scope)
    finally:
        _depth -= 1
    if found is not None or _depth == 0 or _cut == before:
        _memo[key] = (node, scope, found)  # holds the nodes, so that no id is used again
    return found


def _resolve(node: ast.expr, scope: Scope) -> Ref | None:  # noqa: PLR0911 - a table
    match node:
        case ast.Name(id=name):
            return look_up(name, scope)
        case ast.Attribute(value=value, attr=attr):
            base = resolve(value, scope)
            return None if base is None else member(base, attr)
        case ast.Call():
            return _called(node, scope)
        case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
            return resolve(value, scope)
        case ast.BoolOp(values=values):
            return _first(values, scope)
        case ast.IfExp(body=body, orelse=orelse):
            return _first([body, orelse], scope)
        case ast.Subscript(value=value):
            return _subscript(node, resolve(value, scope), scope)
        case _:
            return _literal(node, scope)


def _literal(node: ast.expr, scope: Scope) -> Ref | None:
    """Return an instance of the built-in type that an expression makes by its form."""
    match node:
        case ast.Constant(value=value) if value is not None and value is not ...:
            return Ref(f"builtins.{type(value).__name__}", is_instance=True)
        case ast.List(elts=elements):
            first = tuple(resolve(one, scope) for one in elements[:1])
            return Ref("builtins.list", None, is_instance=True, args=first)
        case ast.ListComp(elt=element):
            return Ref("builtins.list", None, is_instance=True, args=(resolve(element, scope),))
        case ast.Tuple(elts=elements):
            all_ = tuple(resolve(one, scope) for one in elements)
            return Ref("builtins.tuple", None, is_instance=True, args=all_)
        case _:
            name = _FORMS.get(type(node))
            return None if name is None else Ref(f"builtins.{name}", is_instance=True)


_FORMS: Final[dict[type[ast.expr], str]] = {
    ast.JoinedStr: "str",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
}


def _first(nodes: list[ast.expr], scope: Scope) -> Ref | None:
    return next((found for node in nodes if (found := resolve(node, scope)) is not None), None)


def look_up(name: str, scope: Scope) -> Ref | None:
    """Return what a name stands for in a scope, or the scopes around it."""
    here: Scope | None = scope
    while here is not None:
        if isinstance(here, Function) and here.param(name) is not None:
            found = _parameter(here, name)
            return found if found is not None else _bound(here.names.get(name, []), here)
        if name in here.names and not (isinstance(here, Class) and here is not scope):
            return _bound(here.names[name], here)
        here = here.outer
    return _from_stars(name, scope.module) or _builtin(name)


def _bound(bindings: list[Binding], scope: Scope) -> Ref | None:
    return next((ref for one in bindings if (ref := _binding(one, scope)) is not None), None)


def _binding(binding: Binding, scope: Scope) -> Ref | None:
    match binding:
        case Imported():
            return _imported(binding, scope.module)
        case Assigned():
            return _assigned(binding, scope)
        case _:
            return Ref.of(binding)


def _assigned(assigned: Assigned, scope: Scope) -> Ref | None:
    if assigned.annotation is not None:
        found = type_of(assigned.annotation, scope)
        if found is not None and found.name != "typing.TypeAlias":
            return found
    value = resolve(assigned.value, scope)
    if value is None:
        return None
    how = assigned.how
    if how.startswith("with"):
        value = _entered(value)
    elif how.startswith("for"):
        value = _element(value)
    if how.endswith("[]") and value is not None:
        value = _element(value, assigned.at)
    return value


def _entered(value: Ref) -> Ref | None:
    """Return what `with value as name` gives the name."""
    if value.cls is not None and value.is_instance:
        for name in ("__aenter__", "__enter__"):
            enter = member(value, name)
            if enter is not None and enter.function is not None:
                return result_of(enter.function) or value
    return value


def _element(value: Ref, at: int = 0) -> Ref | None:
    if value.name == "builtins.tuple" and len(value.args) > at:
        return value.args[at]
    if value.name in libraries.COLLECTIONS and value.args:
        return value.args[-1] if value.name in libraries.MAPPINGS else value.args[0]
    return None


def _imported(imported: Imported, module: Module) -> Ref | None:
    found = source(imported, module)
    if imported.name is None:
        return Ref.of(found) if found is not None else _external(imported.module)
    if found is None:
        return _submodule(imported, module) or _external(f"{imported.module}.{imported.name}")
    ref = look_up_in(found, imported.name)
    return ref if ref is not None else _submodule(imported, module)


def _submodule(imported: Imported, module: Module) -> Ref | None:
    dotted = f"{imported.module}.{imported.name}".lstrip(".")
    found = source(Imported(dotted, None, imported.level), module)
    return None if found is None else Ref.of(found)


def source(imported: Imported, module: Module) -> Module | None:
    """Return the module of the project that an import takes something from."""
    codebase = module.codebase
    if imported.level:
        return codebase.find_relative(imported.level, imported.module, module.path)
    return codebase.find(imported.module, module.path)


def look_up_in(module: Module, name: str) -> Ref | None:
    """Return what a module's name stands for, also where it comes from a star."""
    global _cut  # noqa: PLW0603 - as above
    key = (id(module), name)
    if key in _under_way:  # modules that import a name from each other
        _cut += 1
        return None
    _under_way.add(key)
    try:
        if name in module.names:
            return _bound(module.names[name], module)
        return _from_stars(name, module)
    finally:
        _under_way.discard(key)


def _from_stars(name: str, module: Module) -> Ref | None:
    for star in module.stars:
        found = source(star, module)
        if found is not None and found is not module and (ref := look_up_in(found, name)):
            return ref
    return None


def _external(dotted: str) -> Ref:
    return Ref(libraries.canonical(dotted))


def _builtin(name: str) -> Ref | None:
    return Ref(f"builtins.{name}") if name in libraries.BUILTINS else None


def _parameter(function: Function, name: str) -> Ref | None:
    param = function.param(name)
    if param is None:
        return None
    if function.is_bound and param is function.params[0] and function.cls is not None:
        ref = Ref.of(function.cls)
        return ref if name == "cls" else ref.instance
    found = type_of(param.annotation, function.around)
    if found is None or found.name in libraries.VAGUE:
        return _injected(param.default, function.around) or found
    return found


def _injected(default: ast.expr | None, scope: Scope) -> Ref | None:
    """Return what `= Depends(target)` gives a parameter."""
    if not isinstance(default, ast.Call):
        return None
    called = resolve(default.func, scope)
    if called is None or called.name not in libraries.DEPENDS or not default.args:
        return None
    target = resolve(default.args[0], scope)
    if target is not None and target.function is not None:
        return result_of(target.function)
    return None if target is None else _call(target, default, scope)


def member(base: Ref, name: str) -> Ref | None:
    """Return an attribute of something."""
    entity = base.entity
    if isinstance(entity, Module):
        return look_up_in(entity, name) or _child(entity, name)
    if isinstance(entity, Class):
        return _class_member(base, entity, name)
    if entity is not None or base.name in libraries.VAGUE:
        return None
    made = libraries.ATTRIBUTES.get(f"{base.name}.{name}") if base.is_instance else None
    if made is not None:
        return Ref(made, is_instance=True)
    return Ref(libraries.canonical(f"{base.name}.{name}"))


def _child(module: Module, name: str) -> Ref | None:
    if not module.path.endswith("__init__.py"):
        return None
    found = module.codebase.find_relative(1, name, module.path)
    return None if found is None else Ref.of(found)


def _class_member(base: Ref, cls: Class, name: str) -> Ref | None:
    for one in bases(cls):
        if one.cls is None:
            if one.name not in libraries.VAGUE and not one.name.startswith("builtins."):
                return one.member(name)
            continue
        if (found := _own_member(one.cls, name)) is not None:
            return found
    return None


def _own_member(cls: Class, name: str) -> Ref | None:
    if name in cls.names:
        for binding in cls.names[name]:
            if isinstance(binding, Function) and _is_property(binding):
                return result_of(binding)
            if (found := _binding(binding, cls)) is not None:
                return found
    for assigned, method in cls.attributes.get(name, ()):
        if (found := _assigned(assigned, method)) is not None:
            return found
    return None


def _is_property(function: Function) -> bool:
    for decorator in function.node.decorator_list:
        name = decorator.attr if isinstance(decorator, ast.Attribute) else ""
        name = decorator.id if isinstance(decorator, ast.Name) else name
        if name in {"property", "cached_property", "computed_field"}:
            return True
    return False


def bases(cls: Class) -> tuple[Ref, ...]:
    """Return a class and what it inherits from, near ones first."""
    known: tuple[Ref, ...] | None = cls.inherits
    if known is None:
        known = cls.inherits = tuple(_bases(cls))
    return known


def _bases(cls: Class) -> Iterator[Ref]:
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
            found = (resolve(base, scope) for base in ref.cls.node.bases)
            waiting += [base for base in found if base is not None]


def is_a(ref: Ref | None, *names: str) -> bool:
    """Return whether something is, or is of, a library's class, or inherits it."""
    if ref is None:
        return False
    if ref.cls is None:
        return ref.name in names
    return any(base.name in names for base in bases(ref.cls))


def _called(node: ast.Call, scope: Scope) -> Ref | None:
    function = resolve(node.func, scope)
    return None if function is None else _call(function, node, scope)


def _call(function: Ref, node: ast.Call, scope: Scope) -> Ref | None:
    if function.cls is not None:
        if not function.is_instance:
            return function.instance
        made = member(function, "__call__")
        return result_of(made.function) if made is not None and made.function is not None else None
    if function.function is not None:
        return result_of(function.function)
    if function.entity is not None:
        return None
    return libraries.result(function, node, lambda argument: resolve(argument, scope))


def result_of(function: Function) -> Ref | None:
    """Return what a function returns; of one that yields once, what it yields."""
    annotated = type_of(function.node.returns, function.around)
    if annotated is not None and annotated.name not in libraries.VAGUE:
        if annotated.name not in libraries.ITERATORS or not function.is_generator:
            return annotated
        if annotated.args:
            return annotated.args[0]
    events = function.flow.yields or function.flow.returns
    values: list[ast.expr | None] = [getattr(event.node, "value", None) for event in events]
    found = (resolve(value, function) for value in values)
    return next((ref for ref in found if ref is not None), annotated)


def _subscript(node: ast.Subscript, base: Ref | None, scope: Scope) -> Ref | None:
    if base is None:
        return None
    if base.name == "pymongo.MongoClient":
        return base.member("database")
    if base.is_instance:
        return _element(base)
    if base.name in libraries.SPECIAL_FORMS:
        found = _annotation(node, scope)
        return None if found is None else found.type
    return base


def _annotation(node: ast.expr, scope: Scope) -> Ref | None:
    match node:
        case ast.Constant(value=str() as text):
            return _quoted(text, scope)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right], scope)
        case ast.Subscript():
            return _generic(node, scope)
        case ast.Name() | ast.Attribute():
            return _named_type(node, scope)
        case _:
            return None


def _quoted(text: str, scope: Scope) -> Ref | None:
    try:
        return _annotation(ast.parse(text, mode="eval").body, scope)
    except SyntaxError:
        return None


def _union(nodes: list[ast.expr], scope: Scope) -> Ref | None:
    return next(
        (
            found
            for node in nodes
            if not (isinstance(node, ast.Constant) and node.value is None)
            and (found := type_of(node, scope)) is not None
        ),
        None,
    )


def _named_type(node: ast.expr, scope: Scope) -> Ref | None:
    alias = aliases.alias(node, scope)
    if alias is not None:
        return type_of(*alias)
    found = resolve(node, scope)
    if found is None or found.function is not None or isinstance(found.entity, Module):
        return None
    return found.instance


def _generic(node: ast.Subscript, scope: Scope) -> Ref | None:
    base = resolve(node.value, scope)
    if base is None:
        return None
    inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if base.name in libraries.WRAPPERS:
        return type_of(inside[0], scope)
    if base.name == "typing.Union":
        return _union(inside, scope)
    if base.name in {"typing.Type", "builtins.type"}:
        found = type_of(inside[0], scope)
        return None if found is None else found.type
    return Ref(base.name, base.entity, True, tuple(type_of(one, scope) for one in inside))
