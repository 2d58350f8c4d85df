"""Files with routes that no application of the project includes."""

from pathlib import PurePosixPath
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Module

__all__ = ["is_stranded"]

_INCLUDES: Final = b"include_router("
_DYNAMIC: Final = (b"import_module", b"__import__", b"pkgutil", b"exec_module", b"walk_packages")
"""What finds modules that no code names."""


@remembered
def is_stranded(module: Module) -> bool:
    """Return whether a file makes a router and nothing leads to the file.

    Where no other file includes any router, the code may be a part of something larger, and the
    answer is no.
    """
    if not _makes_router(module) or b"FastAPI(" in module.source or _INCLUDES in module.source:
        return False
    codebase = module.codebase
    if not codebase.mentioning(_INCLUDES, near=module.path):
        return False
    path = PurePosixPath(module.path)
    name = path.parent.name if path.stem == "__init__" else path.stem
    if any(one != module.path for one in codebase.naming(name, module.path)):
        return False
    return not any(_is_near(one, path) for word in _DYNAMIC for one in codebase.mentioning(word))


def _makes_router(module: Module) -> bool:
    bindings = (one for found in module.names.values() for one in found)
    made = (one.value for one in bindings if isinstance(one, Assigned) and one.value is not None)
    refs = (names.resolve(value, module) for value in made)
    return any(ref is not None and names.is_a(ref, "fastapi.APIRouter") for ref in refs)


def _is_near(other: str, path: PurePosixPath) -> bool:
    """Return whether a file is of the same tree: a script beside the package imports for itself."""
    return PurePosixPath(other).parts[:1] == path.parts[:1] or len(path.parts) == 1
