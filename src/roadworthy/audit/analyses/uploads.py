"""Uploaded files: who gets them, where they are read whole, what limits them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from roadworthy.audit.analyses.bounded_reads import is_for_no_limit, refuses_the_rest
from roadworthy.audit.dataflow.reach import HOPS, callee, calls
from roadworthy.audit.dataflow.values import Frame, bound, dotted, follow
from roadworthy.audit.fastapi.dependencies import Dependency, Need, needs_in, needs_of
from roadworthy.audit.fastapi.mounts import around
from roadworthy.audit.fastapi.routes import Route, is_upload, is_upload_type
from roadworthy.audit.source.annotations import unwrap
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.loggers import is_log
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Class, Function, Module, Param, Scope
from roadworthy.audit.source.names import is_a, resolve, type_of
from roadworthy.audit.source.nodes import walk

__all__ = ["Read", "Upload", "limits_all", "limits_here", "uploads_in", "uploads_of"]

_HEADER: Final = "content-length"
_LENGTH: Final = _HEADER.encode()
_DEEPER: Final = 2
"""What limits an upload may be called by what reads it: it is looked for further away."""
_COPIES: Final = frozenset({"shutil.copyfileobj", "shutil.copyfileobject"})


@dataclass(frozen=True, eq=False)
class Read:
    """A place where all of an upload is read, however much that is."""

    frame: Frame
    node: ast.Call | ast.arg
    to_memory: bool

    @property
    def key(self) -> tuple[str, int]:
        """Return what tells it from other places."""
        return self.frame.function.module.path, self.node.lineno


@dataclass(frozen=True, eq=False)
class Upload:
    """The uploads that a function takes as parameters, and everything that gets them."""

    function: Function
    names: frozenset[str]
    route: Route | None = None
    """None for functions that no route of the same file leads to."""

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """Return the functions that get the upload, its own first."""
        return tuple(follow(self.function, self.names))

    @property
    def reads(self) -> Iterator[Read]:
        """Return the places where it is read whole, limited or not."""
        for param in self.function.params:
            if param.name in self.names and _is_bytes(param, self.function):
                yield Read(self.frames[0], param.node, to_memory=True)
        for frame in self.frames:
            for call in frame.function.flow.calls:
                read = _read(call, frame)
                if read is not None and not is_for_no_limit(call, frame):
                    yield read

    @cached_property
    def is_limited(self) -> bool:
        """Return whether its size is compared with something on the way, or before."""
        deep = follow(self.function, self.names, hops=HOPS + _DEEPER)
        if any(_compares_size(one) or refuses_the_rest(one) for one in deep):
            return True
        if self._compares_length:
            return True
        return self.route is not None and all(self._is_limited_before(one) for one in self.names)

    def _is_limited_before(self, name: str) -> bool:
        """Return whether a dependency refuses what is too large, or hands it over if it is not."""
        need = next((one for one in needs_of(self.function) if _fills(one, name)), None)
        if need is not None and need.dependency is not None:
            return _limits_size(need.dependency.function, frozenset())
        return any(
            one.function is not self.function and _limits_param(one.function, name, frozenset())
            for one in self._before
        )

    @cached_property
    def _before(self) -> tuple[Dependency, ...]:
        """Return what runs before the route: its dependencies, and those of what includes it."""
        if self.route is None:
            return ()
        found = {one.key: one for one in self.route.dependencies}
        func = self.route.decorator.func
        if isinstance(func, ast.Attribute):
            for call, scope in around(func.value, self.route.function.around):
                needs = (one.dependency for one in needs_in(call, scope))
                found |= {one.key: one for one in needs if one is not None}
        return tuple(found.values())

    @cached_property
    def _compares_length(self) -> bool:
        """Return whether the route or what it depends on looks at `Content-Length`."""
        functions = [self.function, *(one.function for one in self._before)]
        return any(_limits_length(one) for one in functions)


def _fills(need: Need, name: str) -> bool:
    return need.param is not None and need.param.name == name


def _limits_size(function: Function, seen: frozenset[Function]) -> bool:
    """Return whether a dependency refuses an upload that is too large."""
    return any(_limits_param(function, name, seen) for name in _upload_names(function))


def _limits_param(function: Function, name: str, seen: frozenset[Function]) -> bool:
    """Return whether a dependency, or what it depends on, looks at the size of a parameter."""
    if function in seen or name not in _upload_names(function):
        return False
    if any(_compares_size(one) for one in follow(function, {name})):
        return True
    need = next((one for one in needs_of(function) if _fills(one, name)), None)
    above = None if need is None else need.dependency
    return above is not None and _limits_size(above.function, seen | {function})


@remembered
def uploads_of(route: Route) -> tuple[Upload, ...]:
    """Return what a route takes itself, and what its dependencies take."""
    takers = [route.function, *(one.function for one in route.dependencies)]
    named = ((function, _all_names(function)) for function in takers)
    return tuple(Upload(function, names, route) for function, names in named if names)


def uploads_in(module: Module) -> Iterator[Upload]:
    """Return what functions take by an annotation: those that routes call, perhaps."""
    if b"UploadFile" not in module.source:
        return
    for function in module.functions:
        if names := _upload_names(function):
            yield Upload(function, names)


@remembered
def _upload_names(function: Function) -> frozenset[str]:
    return frozenset(param.name for param in function.params if is_upload(param, function))


def _all_names(function: Function) -> frozenset[str]:
    return _upload_names(function) | _in_models(function) | _forms(function)


def _in_models(function: Function) -> frozenset[str]:
    """Return the uploads that stand in a model: `form.photo` of `form: Form` or of a dependency."""
    found: set[str] = set()
    for param in function.params:
        model = type_of(unwrap(param.annotation, function.around)[0], function.around)
        cls = None if model is None else model.cls
        if cls is not None and b"UploadFile" in cls.module.source:
            found |= {f"{param.name}.{name}" for name in _upload_fields(cls)}
    return frozenset(found)


def _upload_fields(cls: Class) -> Iterator[str]:
    for name, bindings in cls.names.items():
        declared = [one.annotation for one in bindings if isinstance(one, Assigned)]
        if any(one is not None and is_upload_type(one, cls) for one in declared):
            yield name


def _forms(function: Function) -> frozenset[str]:
    """Return the names of forms that a function reads itself: any of their fields may be a file."""
    if b".form(" not in function.module.source:
        return frozenset()
    return frozenset(
        dotted(target)
        for target, value in bound(function)
        if _reads_form(value, function) and dotted(target)
    )


def _reads_form(node: ast.expr, function: Function) -> bool:
    call = node.value if isinstance(node, ast.Await) else node
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    found = type_of(call.func.value, function) if call.func.attr == "form" else None
    return is_a(found, "fastapi.Request")


def _is_bytes(param: Param, function: Function) -> bool:
    """Return whether FastAPI reads all of it for the parameter: `bytes = File()`."""
    found = type_of(unwrap(param.annotation, function)[0], function)
    return found is not None and found.name == "builtins.bytes"


def _read(call: Call, frame: Frame) -> Read | None:
    """Return the read that a call makes of all of an upload, by the way in which it does."""
    if _reads_at_once(call, frame):
        return Read(frame, call.node, to_memory=True)
    if _reads_in_pieces(call, frame) or _copies(call, frame):
        return Read(frame, call.node, to_memory=False)
    return None


def _reads_at_once(call: Call, frame: Frame) -> bool:
    """`file.read()`, `file.read(-1)`, `file.readlines()`."""
    given = call.node.args
    return _is_read(call.node, frame) and (not given or _is_everything(given[0]))


def _reads_in_pieces(call: Call, frame: Frame) -> bool:
    """`file.read(size)` in a loop that nothing ends but the end of the file."""
    given = call.node.args
    if not _is_read(call.node, frame) or not given or _is_everything(given[0]):
        return False
    loop = next((block.node for block in call.blocks("loop")), None) or _looping(call)
    return loop is not None and not _counts(loop)


def _copies(call: Call, frame: Frame) -> bool:
    """`shutil.copyfileobj(file.file, target)`."""
    node = call.node
    if not node.args or not frame.has(node.args[0]):
        return False
    found = resolve(node.func, frame.function)
    return found is not None and found.name in _COPIES


def _is_read(node: ast.Call, frame: Frame) -> bool:
    match node.func:
        case ast.Attribute(value=owner, attr="read" | "readlines"):
            return frame.has(owner)
        case _:
            return False


def _is_everything(size: ast.expr) -> bool:
    return isinstance(size, ast.UnaryOp) or (
        isinstance(size, ast.Constant) and size.value in {None, -1}
    )


def _looping(call: Call) -> ast.AST | None:
    """Return the loop whose condition makes the call."""
    return call.statement if isinstance(call.statement, ast.While | ast.For) else None


def _counts(loop: ast.AST) -> bool:
    """Return whether a loop adds up something and compares it, so that it may stop."""
    added = {dotted(node.target) for node in walk(loop) if isinstance(node, ast.AugAssign)} | {
        name
        for node in walk(loop)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp)
        for name in map(dotted, node.targets)
    }
    compared = {
        dotted(part) for node in walk(loop) if isinstance(node, ast.Compare) for part in walk(node)
    }
    return bool((added & compared) - {""}) or _compares_growth(loop)


def _compares_growth(loop: ast.AST) -> bool:
    """Return whether a loop compares the length, or the place, of what it fills."""
    for node in walk(loop):
        if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Eq | ast.Is):
            for part in walk(node):
                if isinstance(part, ast.BinOp) and any(map(_is_length, walk(part))):
                    return True
                if isinstance(part, ast.Call) and dotted(part.func).endswith((".tell", "len")):
                    return True
    return False


def _is_length(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _compares_size(frame: Frame) -> bool:
    """Return whether a function compares the upload's size, or returns it to who does."""
    sized: set[str] = set()
    for node in frame.nodes:
        match node:
            case ast.Assign(targets=targets, value=value) if _has_size(value, frame):
                sized |= {dotted(target) for target in targets}
            case ast.NamedExpr(target=target, value=value) if _has_size(value, frame):
                sized.add(target.id)
            case _:
                pass
    idle = {id(test) for node in frame.nodes for test in _ignored(node, frame.function)}
    return any(_is_comparison(node, sized, frame) for node in frame.nodes if id(node) not in idle)


def _ignored(node: ast.AST, function: Function) -> Iterator[ast.AST]:
    """Return the parts of a condition that only decides whether a line is logged."""
    if not isinstance(node, ast.If) or node.orelse:
        return
    if all(_only_says(one, function) for one in node.body):
        yield from walk(node.test)


def _only_says(statement: ast.stmt, function: Function) -> bool:
    match statement:
        case ast.Pass():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner))):
            return is_log(owner, function)
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name == "print"
        case _:
            return False


def _is_comparison(node: ast.AST, sized: set[str], frame: Frame) -> bool:
    match node:
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE(), *_]):
            return _has_size(node, frame) or any(
                dotted(part) in sized for part in walk(node) if isinstance(part, ast.expr)
            )
        case ast.Return(value=value) if value is not None and frame.chain:
            return _has_size(value, frame) or dotted(value) in sized
        case _:
            return False


def _has_size(node: ast.AST, frame: Frame) -> bool:
    """Return whether an expression asks for the size, without reading."""
    for part in walk(node):
        if isinstance(part, ast.Dict):
            return False
        if frame.member(part, "size"):
            return True
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in {"tell", "fileno"}  # `os.fstat(file.fileno()).st_size`
            and frame.has(part.func.value)
        ):
            return True
    return False


def _limits_length(function: Function) -> bool:
    """Return whether a function compares `Content-Length`, or has it from another."""
    if not _compares(function):
        return False
    called = (found for one in calls(function) if (found := callee(one)) is not None)
    return any(_names_length(one) for one in (function, *called))


def _names_length(function: Function) -> bool:
    if _LENGTH not in function.module.source.lower().replace(b"_", b"-"):
        return False
    return any(
        (isinstance(node, ast.Constant) and str(node.value).lower() == _HEADER)
        or (isinstance(node, ast.Constant) and node.value == _LENGTH)
        or (isinstance(node, ast.arg) and "content_length" in node.arg)
        for node in walk(function.node)
    )


def _compares(function: Function) -> bool:
    return any(
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Gt | ast.GtE | ast.Lt | ast.LtE)
        for part in function.node.body
        for node in walk(part)
    )


def limits_all(module: Module) -> bool:
    """Return whether a module limits the bodies of all requests."""
    source = module.source
    lowered = source.lower()
    if b"max_body_size" in source and any(
        _limits_bodies(call.node, module, "FastAPI", "include_router") for call in _calls(module)
    ):
        return True
    if b"middleware" not in lowered:
        return False
    return any(_is_limit(one) for one in _middleware(module))


def limits_here(module: Module) -> bool:
    """Return whether a module's own router limits bodies."""
    return b"max_body_size" in module.source and any(
        _limits_bodies(call.node, module, "APIRouter") for call in module.flow.calls
    )


def _limits_bodies(call: ast.Call, module: Module, *names: str) -> bool:
    return dotted(call.func).rpartition(".")[2] in names and any(
        keyword.arg == "max_body_size"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        for keyword in call.keywords
    )


def _calls(module: Module) -> Iterator[Call]:
    yield from module.flow.calls
    for function in module.functions:
        yield from function.flow.calls


def _middleware(module: Module) -> Iterator[Class | Function | str]:
    """Return the middleware that a module defines or adds: code, or a library's name."""
    for function in module.functions:
        if function.name in {"dispatch", "__call__"} or _decorated(function):
            yield function
    if b"add_middleware" in module.source or b"Middleware(" in module.source:
        yield from _added_middleware(module)


def _added_middleware(module: Module) -> Iterator[Class | Function | str]:
    scopes: list[Module | Function] = [module, *module.functions]
    for scope in scopes:
        added = (one.node for one in scope.flow.calls if _adds_middleware(one.node, scope))
        for call in added:
            found = resolve(call.args[0], scope)
            yield (None if found is None else found.cls) or dotted(call.args[0])


def _adds_middleware(call: ast.Call, scope: Scope) -> bool:
    name = dotted(call.func).rpartition(".")[2]
    adds = name in {"add_middleware", "Middleware"} and bool(call.args)
    return adds and not _belongs_elsewhere(call.func, scope)


def _belongs_elsewhere(func: ast.expr, scope: Scope) -> bool:
    """Return whether middleware is added to what serves something other than these routes."""
    owner = resolve(func.value, scope) if isinstance(func, ast.Attribute) else None
    if owner is None or owner.entity is not None or not owner.is_instance:
        return False
    return not owner.name.startswith(("fastapi.", "starlette."))


def _decorated(function: Function) -> bool:
    return any(
        isinstance(one, ast.Call) and dotted(one.func).endswith(".middleware")
        for one in function.node.decorator_list
    )


def _is_limit(middleware: Class | Function | str) -> bool:
    match middleware:
        case Function():
            return _limits_length(middleware)
        case Class():
            own = any(_limits_length(method) for method in middleware.methods)
            return own or _is_limit(middleware.name)
        case _:
            name = middleware.lower()
            return "limit" in name and any(word in name for word in ("size", "body", "upload"))
