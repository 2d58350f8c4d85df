"""Paths that are made of the name that a client gives its file."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit import names
from roadworthy.audit.module import Function
from roadworthy.audit.reach import arguments
from roadworthy.audit.uploads import Upload
from roadworthy.audit.values import Frame, dotted, follow

__all__ = ["opened"]

_GUARDS: Final = (
    *(
        "is_relative_to",
        ".relative_to",
        "commonpath",
        "commonprefix",
        "secure_filename",
        "basename",
    ),
    *("sanitize", "sanitise", "safe_join", "'..'", "slugify", "safe_name", "safe_filename"),
    *("clean_filename", "normalize_filename", "valid_filename", "validate_filename", "safe_path"),
)
"""What is written where a name is checked, or made harmless."""
_KEEPS: Final = frozenset({"lower", "strip", "encode", "decode", "format", "join", "joinpath"})
_MAKES: Final = frozenset({"pathlib.Path", "builtins.str", "os.path.join", "anyio.Path"})
_OPENS: Final = frozenset(
    {
        *("builtins.open", "io.open", "aiofiles.open", "anyio.open_file", "os.open"),
        *("os.makedirs", "os.mkdir", "shutil.copy", "shutil.copyfile", "shutil.move"),
    }
)
_WRITES: Final = frozenset({"write_bytes", "write_text", "open", "touch", "mkdir"})


def opened(upload: Upload) -> tuple[Frame, ast.Call] | None:
    """Return where a path is opened that has the client's name in it, unchecked."""
    for frame in upload.frames:
        names_ = frozenset(f"{name}.filename" for name in frame.names)
        traced = [
            Frame(one.function, one.names, (*frame.chain, *one.chain))
            for one in follow(frame.function, names_, hops=2)
        ]
        if any(_guards(one.function) for one in (frame, *traced)):
            continue
        for one in traced:
            if (call := _opened(one)) is not None:
                return one, call
    return None


def _guards(function: Function) -> bool:
    text = ast.unparse(function.node)
    if any(word in text for word in _GUARDS):
        return True
    return "startswith(" in text and any(
        word in text for word in ("resolve(", "realpath(", "abspath(")
    )


def _opened(frame: Frame) -> ast.Call | None:
    tainted = _tainted(frame.function, frame.names)
    for call in frame.function.flow.calls:
        node = call.node
        found = names.resolve(node.func, frame.function)
        name = "" if found is None else found.name
        if name in _OPENS and any(_has(one, tainted, frame.function) for one in node.args[:2]):
            return node
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in _WRITES:
            owner = names.resolve(func.value, frame.function)
            is_path = owner is not None and owner.name == "pathlib.Path"
            if is_path and _has(func.value, tainted, frame.function):
                return node
    return None


def _tainted(function: Function, known: frozenset[str]) -> frozenset[str]:
    found = set(known)
    for target, value in _assignments(function):
        if _has(value, frozenset(found), function):
            found.add(target)
    return frozenset(found)


def _assignments(function: Function) -> Iterator[tuple[str, ast.expr]]:
    for event in function.flow.assigns:
        match event.node:
            case ast.Assign(targets=targets, value=value):
                yield from ((dotted(one), value) for one in targets if dotted(one))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield dotted(target), value
            case _:
                pass


def _has(node: ast.expr | None, tainted: frozenset[str], function: Function) -> bool:
    """Return whether an expression has the client's name in it, as it is."""
    if node is None:
        return False
    if dotted(node) in tainted or _is_made(node, tainted, function):
        return True
    return any(_has(part, tainted, function) for part in _parts(node, function))


def _parts(node: ast.expr, function: Function) -> list[ast.expr]:
    """Return the expressions whose text an expression has in it."""
    match node:
        case ast.JoinedStr():
            return [one.value for one in node.values if isinstance(one, ast.FormattedValue)]
        case ast.BinOp(op=ast.Add() | ast.Div() | ast.Mod()):
            return [node.left, node.right]
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
            return parts
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.Call():
            return _kept(node, function)
        case _:
            return [node.value] if isinstance(node, ast.Await | ast.NamedExpr) else []


def _kept(call: ast.Call, function: Function) -> list[ast.expr]:
    """Return the arguments that a call's result has in it as they are."""
    found = names.resolve(call.func, function)
    if found is not None and found.name in _MAKES:
        return call.args
    if isinstance(call.func, ast.Attribute) and call.func.attr in _KEEPS:
        return [call.func.value, *call.args]
    if isinstance(call.func, ast.Attribute) and call.func.attr == "replace":
        return [] if _takes_steps(call) else [call.func.value]
    return []


def _takes_steps(call: ast.Call) -> bool:
    """Return whether `.replace("/", "")` takes out what leads out of a folder."""
    return any(
        isinstance(one, ast.Constant) and any(step in str(one.value) for step in ("/", "\\", ".."))
        for one in call.args[:1]
    )


def _is_made(node: ast.expr, tainted: frozenset[str], function: Function) -> bool:
    """Return whether a function of the project gives back a path with the name in it."""
    found = names.resolve(node.func, function) if isinstance(node, ast.Call) else None
    if not isinstance(node, ast.Call) or found is None or found.function is None:
        return False
    called = found.function
    given = arguments(node, called)
    taken = frozenset(name for name, value in given.items() if dotted(value) in tainted)
    whole = (name for name, value in given.items() if f"{dotted(value)}.filename" in tainted)
    taken |= {f"{name}.filename" for name in whole}
    if not taken or _guards(called) or called is function:
        return False
    inside = _tainted(called, taken)
    values = (getattr(event.node, "value", None) for event in called.flow.returns)
    return any(_has(value, inside, called) for value in values)
