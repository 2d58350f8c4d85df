"""Paths that are made of the name that a client gives its file."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.analyses import name_checks
from roadworthy.audit.analyses.name_parts import kept, unpacked
from roadworthy.audit.analyses.uploads import Upload
from roadworthy.audit.dataflow.reach import Reached, arguments, calls
from roadworthy.audit.dataflow.values import Frame, bound, dotted, handed_over, nodes_of
from roadworthy.audit.source import names
from roadworthy.audit.source.libraries import PATHS
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name

__all__ = ["opened"]

_DEEPEST: Final = 3
"""As many functions get a path, or make one, after the function that has the upload."""
_OPENS: Final = frozenset(
    {
        *("builtins.open", "io.open", "codecs.open", "aiofiles.open", "anyio.open_file"),
        *("os.open", "os.makedirs", "os.mkdir", "os.rename", "os.replace", "os.link"),
        *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.move", "aioshutil.move"),
        *("aiofiles.os.makedirs", "aiofiles.os.mkdir", "aiofiles.os.rename", "aioshutil.copy"),
        *("aiofiles.os.replace", "aiofiles.threadpool.open", "gzip.open", "zipfile.ZipFile"),
    }
)
"""Functions that write what is at a path, among their first two arguments."""
_WRITES: Final = frozenset({"write_bytes", "write_text"})
"""Methods that only paths have."""
_PATH_WRITES: Final = frozenset({"open", "touch", "mkdir"})
_MOVES: Final = frozenset({"rename", "replace", "move", "copy", "hardlink_to", "symlink_to"})


def opened(upload: Upload) -> tuple[Frame, ast.Call] | None:
    """Return where a path is opened that has the client's name in it, unchecked."""
    for frame in upload.frames:
        start = {f"{name}.filename": f"{name}.filename" for name in frame.names}
        found = _Trace(frame.function, start, frame.chain).run()
        if found is not None:
            trace, call = found
            return Frame(trace.function, frozenset(trace.tainted), trace.chain), call
    return None


@dataclass(slots=True)
class _Trace:
    """The way of a client's name through one function, in the order of the lines."""

    function: Function
    tainted: dict[str, str]
    """Names that have it in them, and where it comes from."""
    chain: tuple[Reached, ...] = ()
    depth: int = _DEEPEST
    paths: set[str] = field(default_factory=set[str])
    """Names that are given a path by a `/`, whatever its folder is."""
    cleared: set[str] = field(default_factory=set[str])
    """What a condition or a check has refused, where it leads out of a folder."""

    def run(self) -> "tuple[_Trace, ast.Call] | None":
        """Return the call that opens such a path, here or in a function that gets it."""
        called = {id(one.call.node): one for one in calls(self.function)}
        for node, value in _events(self.function):
            match node:
                case ast.Call():
                    if (found := self._opened(node, called.get(id(node)))) is not None:
                        return found
                case ast.If() | ast.Assert():
                    self._clear(name_checks.refused(node))
                case ast.expr() if value is not None:
                    self._assign(node, value)
                case _:
                    pass
        return None

    def has(self, node: ast.expr | None) -> str:
        """Return where the client's name in an expression comes from; empty without one."""
        if node is None:
            return ""
        if (origin := self.tainted.get(dotted(node))) is not None:
            return origin
        for part in kept(node, self.function):
            if origin := self.has(part):
                return origin
        return self._made(node) if isinstance(node, ast.Call) else ""

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        for one, part in unpacked(target, value):
            name = dotted(one)
            if not name:
                continue
            if origin := self.has(part):
                self.tainted[name] = origin
            else:
                self.tainted.pop(name, None)
            if self._is_path(part):
                self.paths.add(name)

    def _clear(self, tests: Iterator[ast.expr]) -> None:
        """Note that a condition refuses what does not suit, so that its value is safe."""
        for origin in [self.has(one) for one in tests]:
            self._forget(origin)

    def _forget(self, origin: str) -> None:
        if origin:
            self.cleared.add(origin)
            self.tainted = {one: at for one, at in self.tainted.items() if at != origin}

    def _opened(self, call: ast.Call, reached: Reached | None) -> "tuple[_Trace, ast.Call] | None":
        if self._opens(call):
            return self, call
        if reached is None or not (origins := self._given(call)):
            return None
        if name_checks.is_check(call, self.function):
            for origin in origins:
                self._forget(origin)
            return None
        return self._into(reached)

    def _given(self, call: ast.Call) -> list[str]:
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        given = (owner, *call.args, *(keyword.value for keyword in call.keywords))
        return [origin for one in given if (origin := self.has(one))]

    def _opens(self, call: ast.Call) -> bool:
        found = names.resolve(call.func, self.function)
        if found is not None and found.name in _OPENS:
            named = [one.value for one in call.keywords if one.arg in {"file", "dst", "path"}]
            return any(map(self.has, (*call.args[:2], *named)))
        if not isinstance(call.func, ast.Attribute):
            return False
        owner, attr = call.func.value, call.func.attr
        if attr in _WRITES or (attr in _PATH_WRITES and self._is_path(owner)):
            return bool(self.has(owner))
        moves = attr in _MOVES and self._is_path(owner) and bool(call.args)
        return moves and bool(self.has(call.args[0]))

    def _is_path(self, node: ast.expr) -> bool:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return True
        if isinstance(node, ast.Call) and last_name(node.func) == "joinpath":
            return True
        ref = names.resolve(node, self.function)
        known = ref is not None and ref.is_instance and ref.name in PATHS
        return known or dotted(node) in self.paths

    # --- other functions ---

    def _into(self, reached: Reached) -> "tuple[_Trace, ast.Call] | None":
        inner = self._inner(reached)
        if inner is None:
            return None
        found = inner.run()
        for origin in inner.cleared:
            self._forget(origin)
        return found

    def _inner(self, reached: Reached) -> "_Trace | None":
        if self.depth == 0:
            return None
        handed = handed_over(reached)
        ref = reached.ref
        function = handed[0] if handed is not None else None if ref is None else ref.function
        if function is None and ref is not None and ref.cls is not None and not ref.is_instance:
            made = names.member(ref, "__init__")
            function = None if made is None else made.function
        if function is None or function is self.function:
            return None
        call = handed[1] if handed is not None else reached.call.node
        given = arguments(call, function, ref)
        tainted = {name: origin for name, value in given.items() if (origin := self.has(value))}
        chain = (*self.chain, Reached(reached.call, ref, self.function, self.chain))
        return _Trace(function, tainted, chain, self.depth - 1) if tainted else None

    def _made(self, call: ast.Call) -> str:
        """Return the name in what a function of the project makes of what it is given."""
        ref = names.resolve(call.func, self.function)
        called = None if ref is None else ref.function
        if called is None or called is self.function or self.depth == 0:
            return ""
        given = arguments(call, called, ref)
        tainted = {name: origin for name, value in given.items() if (origin := self.has(value))}
        whole = (
            (f"{name}.filename", whence)
            for name, value in given.items()
            if (whence := self.tainted.get(f"{dotted(value)}.filename"))
        )
        inner = _Trace(called, {**tainted, **dict(whole)}, self.chain, self.depth - 1)
        return inner.returned() if inner.tainted else ""

    def returned(self) -> str:
        """Return where the client's name in what a function returns comes from."""
        for node, value in _events(self.function):
            match node:
                case ast.Return(value=result) if origin := self.has(result):
                    return origin
                case ast.If() | ast.Assert():
                    self._clear(name_checks.refused(node))
                case ast.Call() if name_checks.is_check(node, self.function):
                    for origin in self._given(node):
                        self._forget(origin)
                case ast.expr() if value is not None:
                    self._assign(node, value)
                case _:
                    pass
        return ""


@remembered
def _events(function: Function) -> list[tuple[ast.AST, ast.expr | None]]:
    """Return what a function assigns, calls, tests and returns, in the order of its lines."""
    found: list[tuple[ast.AST, ast.expr | None]] = list(bound(function))
    found += [
        (node, None)
        for node in nodes_of(function)
        if isinstance(node, ast.Call | ast.If | ast.Assert | ast.Return)
    ]
    return sorted(found, key=lambda one: _order(*one))


def _order(node: ast.AST, value: ast.expr | None) -> tuple[int, int, int]:
    """Return when something happens: where the last of what it needs ends."""
    last = value if value is not None else node.test if isinstance(node, ast.If) else node
    kind = 1 if value is not None else 0 if isinstance(node, ast.Call) else 2
    return getattr(last, "end_lineno", 0), getattr(last, "end_col_offset", 0), kind
