"""Which tests are near a module: those that import it, or are named like it."""

import ast
from collections.abc import Iterable
from pathlib import Path

__all__ = ["module_name", "near"]


def module_name(path: Path) -> str:
    """Return how a file under `src` is imported."""
    parts = path.with_suffix("").parts
    inside = parts[len(parts) - parts[::-1].index("src") :]
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


def near(module: str, tests: Iterable[Path], *, most: int) -> list[Path]:
    """Return at most so many files of tests, the nearest first; of those as near, short ones."""
    ranked = [(_distance(module, path), path.stat().st_size, path) for path in tests]
    return [path for distance, _, path in sorted(ranked) if distance < _FAR][:most]


_FAR = 9


def _distance(module: str, path: Path) -> int:
    """Count how many steps an import is from the module: the package, the package of that."""
    parts = module.split(".")
    if path.stem == f"test_{parts[-1].strip('_')}" and parts[1:2] == [*path.parts[-3:-1]][-1:]:
        return 0
    imported = _imports(path)
    for steps in range(len(parts) - 1):
        if ".".join(parts[: len(parts) - steps]) in imported:
            return steps + 1
    return _FAR if path.parent.name != parts[1:2][0] else _FAR - 1


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
