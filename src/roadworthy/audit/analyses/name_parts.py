"""Which pieces of a client's name for its file an expression keeps as they are."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, walk

__all__ = ["kept", "unpacked"]

_SAME: Final = frozenset(
    {
        *("lower", "upper", "casefold", "title", "strip", "lstrip", "rstrip", "encode", "decode"),
        *("format", "join", "joinpath", "removeprefix", "removesuffix", "resolve", "absolute"),
        *("expanduser", "with_suffix", "as_posix", "__str__", "zfill", "translate"),
    }
)
"""Methods whose result has all of what they are called of, and of what they get."""
_SPLITS: Final = frozenset({"split", "rsplit", "partition", "rpartition", "splitlines"})
_MAKES: Final = frozenset(
    {
        *("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "anyio.Path", "builtins.str"),
        *("os.path.join", "os.path.abspath", "os.path.realpath", "os.path.normpath"),
        *("os.fspath", "os.fsencode", "urllib.parse.unquote", "posixpath.join", "os.path.dirname"),
        *("os.path.expanduser", "typing.cast", "fastapi.Path"),
    }
)
"""Functions whose result has what they are given."""
_SPLITTERS: Final = frozenset({"os.path.splitext", "posixpath.splitext"})
_LAST: Final = ("/", "\\")
"""What a piece after the last of these has none of."""
_STEPS: Final = (*_LAST, ".", ":")
"""What a piece after the last of these may lead out of a folder with."""
_PARTS: Final = frozenset({"parent", "parents", "parts", "value", "filename"})
"""Attributes of a path, or of what holds one, that may lead out of a folder."""


def kept(node: ast.expr, function: Function) -> list[ast.expr]:  # noqa: C901, PLR0911 - a table
    """Return the expressions whose text an expression has in it."""
    match node:
        case ast.JoinedStr(values=parts):
            before = [None, *parts]
            return [
                part.value
                for part, last in zip(parts, before, strict=False)
                if isinstance(part, ast.FormattedValue) and not _holds(last, function)
            ]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [left] if _holds(left, function) else [left, right]
        case ast.BinOp(op=ast.Div() | ast.Mod()):
            return [node.left, node.right]
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return parts
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
            return [value]
        case ast.Attribute(value=value, attr=attr) if attr in _PARTS:
            return [value]
        case ast.Subscript(value=value, slice=key):
            return _piece(value, key, function)
        case ast.Call():
            return _called(node, function)
        case _:
            return []


def _holds(before: ast.expr | None, function: Function) -> bool:
    """Return whether what stands right before a name keeps it in its folder.

    `x_` before `../../etc` makes `x_../../etc`: no folder is called `x_..`, so that nothing is
    opened (POSIX, path resolution) unless the code makes the folders of a path first.
    """
    match before:
        case ast.Constant(value=str() as text):
            return bool(text) and not text.endswith(_STEPS) and not _makes_parents(function)
        case ast.JoinedStr(values=[*_, last]):
            return _holds(last, function)
        case ast.BinOp(op=ast.Add(), right=right):
            return _holds(right, function)
        case _:
            return False


def _makes_parents(function: Function) -> bool:
    """Return whether a function makes the folders of a path: `path.parent.mkdir(...)`."""
    return any(
        last_name(one) in {"parent", "dirname"}
        for call in function.flow.calls
        if last_name(call.node.func) in {"mkdir", "makedirs"}
        for part in (call.node.func, *call.node.args)
        for one in walk(part)
        if isinstance(one, ast.Attribute | ast.Name)
    )


def _piece(value: ast.expr, key: ast.expr, function: Function) -> list[ast.expr]:
    """Return what is split where its beginning is taken; an ending leads nowhere."""
    whole = _split(value, function)
    if whole is None:
        is_end = isinstance(key, ast.Slice) and key.lower is not None
        return [] if is_end else [value]
    return [whole] if isinstance(key, ast.Constant) and key.value == 0 else []


def _split(value: ast.expr, function: Function) -> ast.expr | None:
    """Return what `os.path.splitext(name)` or `name.split(".")` splits, if into such pieces."""
    if not isinstance(value, ast.Call):
        return None
    func = value.func
    if isinstance(func, ast.Attribute) and func.attr in _SPLITS:
        by = value.args[0] if value.args else None
        steps = isinstance(by, ast.Constant) and str(by.value).endswith(_LAST)
        return ast.Constant("") if steps else func.value
    found = names.resolve(func, function)
    if found is not None and found.name in _SPLITTERS and value.args:
        return value.args[0]
    return None


def _called(call: ast.Call, function: Function) -> list[ast.expr]:
    """Return the arguments that a call's result has in it as they are."""
    found = names.resolve(call.func, function)
    if found is not None and found.name in _MAKES:
        return call.args
    if not isinstance(call.func, ast.Attribute):
        return []
    owner, attr = call.func.value, call.func.attr
    if attr in _SAME:
        return [owner, *call.args]
    if attr == "replace":
        return [] if _takes_steps(call) else [owner]
    return [owner] if attr == "relative_to" else []


def _takes_steps(call: ast.Call) -> bool:
    """Return whether `.replace("/", "")` takes out what leads out of a folder."""
    if len(call.args) > 1 and _has_step(call.args[1]):
        return False  # one kind of separator is made of another
    return any(_has_step(one) for one in call.args[:1])


def _has_step(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and any(step in text for step in ("/", "\\", ".."))


def unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Return each name of an assignment with what it is given."""
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value
        return
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        for one, part in zip(target.elts, value.elts, strict=True):
            yield from unpacked(one, part)
        return
    splits = isinstance(value, ast.Call) and last_name(value.func) in {*_SPLITS, "splitext"}
    for at, one in enumerate(target.elts):
        yield one, ast.Subscript(value, ast.Constant(at), ast.Load()) if splits else value
