"""The library's own source, as the tests about its form read it."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import roadworthy

__all__ = ["REPOSITORY", "imports", "module_names", "public_module_names", "source_of", "tree_of"]

REPOSITORY = Path(__file__).parents[2]


def module_names() -> list[str]:
    """Name every module of the library."""
    found = pkgutil.walk_packages(roadworthy.__path__, "roadworthy.", onerror=_refuse)
    return ["roadworthy", *(module.name for module in found)]


def public_module_names() -> list[str]:
    """Name the modules without an underscore anywhere in their path."""
    return [name for name in module_names() if "._" not in name]


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def source_of(name: str) -> Path:
    return Path(inspect.getfile(load(name)))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for every import of a file; the name of `import x` is empty."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def _refuse(name: str) -> None:
    raise ImportError(f"{name} cannot be imported")
