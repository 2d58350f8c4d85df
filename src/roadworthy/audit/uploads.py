"""Uploaded files: who gets them, where they are read whole, what limits them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from roadworthy.audit.aliases import unwrap
from roadworthy.audit.flow import Call
from roadworthy.audit.module import Class, Function, Module, Param, Scope
from roadworthy.audit.names import is_a, resolve, type_of
from roadworthy.audit.reach import callee, calls
from roadworthy.audit.routes import Route, is_upload
from roadworthy.audit.values import Frame, bound, dotted, follow

__all__ = ["Read", "Upload", "limits_all", "limits_here", "uploads_in", "uploads_of"]

_HEADER: Final = "content-length"
_LENGTH: Final = _HEADER.encode()
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
                if read is not None:
                    yield read

    @cached_property
    def is_limited(self) -> bool:
        """Return whether its size is compared with something on the way."""
        return any(_compares_size(frame) for frame in self.frames) or self._compares_length

    @cached_property
    def _compares_length(self) -> bool:
        """Return whether the route or what it depends on looks at `Content-Length`."""
        functions = [self.function]
        if self.route is not None:
            functions += [one.function for one in self.route.dependencies]
        return any(_limits_length(one) for one in functions)


def uploads_of(route: Route) -> Iterator[Upload]:
    """Return what a route takes itself, and what its dependencies take."""
    for function in [route.function, *(one.function for one in route.dependencies)]:
        if names := _upload_names(function) | _forms(function):
            yield Upload(function, names, route)


def uploads_in(module: Module) -> Iterator[Upload]:
    """Return what functions take by an annotation: those that routes call, perhaps."""
    if b"UploadFile" not in module.source:
        return
    for function in module.functions:
        if names := _upload_names(function):
            yield Upload(function, names)


def _upload_names(function: Function) -> frozenset[str]:
    return frozenset(param.name for param in function.params if is_upload(param, function))


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
    node = call.node
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr in {"read", "readlines"}:
        if not frame.has(func.value):
            return None
        if not node.args or _is_everything(node.args[0]):
            return Read(frame, node, to_memory=True)
        loop = next((block.node for block in call.blocks("loop")), None) or _looping(call)
        if loop is None or _counts(loop):
            return None
        return Read(frame, node, to_memory=False)
    if node.args and frame.has(node.args[0]):
        found = resolve(func, frame.function)
        if found is not None and found.name in _COPIES:
            return Read(frame, node, to_memory=False)
    return None


def _is_everything(size: ast.expr) -> bool:
    return isinstance(size, ast.UnaryOp) or (
        isinstance(size, ast.Constant) and size.value in {None, -1}
    )


def _looping(call: Call) -> ast.AST | None:
    """Return the loop whose condition makes the call."""
    return call.statement if isinstance(call.statement, ast.While | ast.For) else None


def _counts(loop: ast.AST) -> bool:
    """Return whether a loop adds up something and compares it, so that it may stop."""
    added = {dotted(node.target) for node in ast.walk(loop) if isinstance(node, ast.AugAssign)} | {
        name
        for node in ast.walk(loop)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp)
        for name in map(dotted, node.targets)
    }
    compared = {
        dotted(part)
        for node in ast.walk(loop)
        if isinstance(node, ast.Compare)
        for part in ast.walk(node)
    }
    return bool((added & compared) - {""}) or _compares_growth(loop)


def _compares_growth(loop: ast.AST) -> bool:
    """Return whether a loop compares the length, or the place, of what it fills."""
    for node in ast.walk(loop):
        if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Eq | ast.Is):
            for part in ast.walk(node):
                if isinstance(part, ast.BinOp) and "len(" in ast.unparse(part):
                    return True
                if isinstance(part, ast.Call) and dotted(part.func).endswith((".tell", "len")):
                    return True
    return False


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
    return any(_is_comparison(node, sized, frame) for node in frame.nodes)


def _is_comparison(node: ast.AST, sized: set[str], frame: Frame) -> bool:
    match node:
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE(), *_]):
            return _has_size(node, frame) or any(
                dotted(part) in sized for part in ast.walk(node) if isinstance(part, ast.expr)
            )
        case ast.Return(value=value) if value is not None and frame.chain:
            return _has_size(value, frame) or dotted(value) in sized
        case _:
            return False


def _has_size(node: ast.AST, frame: Frame) -> bool:
    """Return whether an expression asks for the size, without reading."""
    for part in ast.walk(node):
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
        for node in ast.walk(function.node)
    )


def _compares(function: Function) -> bool:
    return any(
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Gt | ast.GtE | ast.Lt | ast.LtE)
        for part in function.node.body
        for node in ast.walk(part)
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
    if b"add_middleware" not in module.source and b"Middleware(" not in module.source:
        return
    scopes: list[Scope] = [module, *module.functions]
    for scope in scopes:
        if isinstance(scope, Class):
            continue
        for call in scope.flow.calls:
            if _adds_middleware(call.node, scope):
                found = resolve(call.node.args[0], scope)
                own = None if found is None else found.cls
                yield own or dotted(call.node.args[0])


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
