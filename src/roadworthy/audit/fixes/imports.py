"""Imports that a fix adds, where isort would have them."""

import ast
import sys
from collections.abc import Sequence

__all__ = ["with_import", "without_unused"]

_Import = ast.Import | ast.ImportFrom


def with_import(source: bytes, name: str) -> bytes:
    """Return a text that imports a dotted name: `asyncio`, or `fastapi.HTTPException`."""
    module, _, attribute = name.rpartition(".")
    tree = ast.parse(source)
    top = _top(tree)
    if _is_there(top, module, attribute):
        return source
    lines = source.split(b"\n")
    end = b"\r" if lines and lines[0].endswith(b"\r") else b""
    joined = _joined(top, module, attribute, lines) if module else None
    if joined is not None:
        at, text = joined
        lines[at] = text.encode() + end
        return b"\n".join(lines)
    new = f"from {module} import {attribute}" if module else f"import {attribute}"
    at, added = _placed(tree, top, new, module or attribute, lines)
    lines[at:at] = [line.encode() + end for line in added]
    return b"\n".join(lines)


def without_unused(source: bytes, name: str) -> bytes:
    """Return a text that does not import a module, unless something in it is used."""
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    lines = source.split(b"\n")
    for node in reversed(_top(tree)):
        bound = {one.asname or one.name for one in node.names}
        alone = lines[node.lineno - 1].strip() == ast.unparse(node).encode()
        if _is_of(node, name) and alone and not bound & used:
            del lines[node.lineno - 1]
            if not any(lines[max(node.lineno - 2, 0) : node.lineno - 1]):
                _close_gap(lines, node.lineno - 1)
    return b"\n".join(lines)


def _is_of(node: _Import, name: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == name and not node.level
    return [one.name for one in node.names] == [name]


def _close_gap(lines: list[bytes], at: int) -> None:
    """Remove the blank line that stood behind an import, where one stands before."""
    if at < len(lines) and not lines[at].strip():
        del lines[at]


def _top(tree: ast.Module) -> Sequence[_Import]:
    """Return the imports at the top of a file, before any other code."""
    found: list[_Import] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        elif not _is_docstring(node):
            break
    return found


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_there(top: Sequence[_Import], module: str, attribute: str) -> bool:
    for node in top:
        wanted = isinstance(node, ast.ImportFrom) if module else isinstance(node, ast.Import)
        home = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        named = any(one.name == attribute and one.asname is None for one in node.names)
        if wanted and home == module and named:
            return True
    return False


def _joined(
    top: Sequence[_Import], module: str, attribute: str, lines: Sequence[bytes]
) -> tuple[int, str] | None:
    """Return the line of an import of the same module, with one name more."""
    for node in top:
        if isinstance(node, ast.Import) or node.module != module or node.level:
            continue
        line = lines[node.lineno - 1].decode().rstrip("\r")
        alone = node.lineno == node.end_lineno and line == ast.unparse(node)
        if alone and node.names[0].name != "*":
            names = [ast.unparse(one) for one in node.names]
            ordered = names == sorted(names, key=_order)
            more = sorted([*names, attribute], key=_order) if ordered else [*names, attribute]
            return node.lineno - 1, f"from {module} import {', '.join(more)}"
    return None


def _order(name: str) -> tuple[int, str]:
    """Return where isort has a name: constants, classes, the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


def _section(node_or_name: _Import | str) -> int:
    """Return 0 for `__future__`, 1 for the standard library, 2 for others, 3 for one's own."""
    if isinstance(node_or_name, str):
        root = node_or_name.partition(".")[0]
    elif isinstance(node_or_name, ast.Import):
        root = node_or_name.names[0].name.partition(".")[0]
    elif node_or_name.level:
        return 3
    else:
        root = (node_or_name.module or "").partition(".")[0]
    if root == "__future__":
        return 0
    return 1 if root in sys.stdlib_module_names else 2


def _rank(node: _Import) -> tuple[int, int, str]:
    """Return where isort has an import: by section, `import` before `from`, by name."""
    is_from = isinstance(node, ast.ImportFrom)
    name = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
    return _section(node), int(is_from), name.lower()


def _placed(
    tree: ast.Module, top: Sequence[_Import], new: str, name: str, lines: Sequence[bytes]
) -> tuple[int, list[str]]:
    """Return before which line an import stands, and the lines to add."""
    section = _section(name)
    same = [node for node in top if _section(node) == section]
    later = [node for node in top if _section(node) > section]
    if same:
        return _within_section(same, new), [new]
    if later:
        return later[0].lineno - 1, [new, ""]
    if top:
        return _end(top[-1]), ["", new]
    return _as_first_import(tree, new, lines)


def _within_section(section: Sequence[_Import], new: str) -> int:
    """Return the line of an import among those of its section."""
    rank = _rank(ast.parse(new).body[0])  # type: ignore[arg-type]  # it is an import
    before = [node for node in section if _rank(node) <= rank]
    return _end(max(before, key=_rank)) if before else section[0].lineno - 1


def _as_first_import(tree: ast.Module, new: str, lines: Sequence[bytes]) -> tuple[int, list[str]]:
    """Return the place of an import in a file that has none at its top, and the lines to add."""
    first = tree.body[0] if tree.body else None
    if first is not None and _is_docstring(first):
        return _end(first), ["", new]
    start = 1 if lines and lines[0].startswith(b"#!") else 0
    return start, [new, "", ""] if first is not None else [new]


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno
