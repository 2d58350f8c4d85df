"""Which files are audited, and which only help to understand them."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

__all__ = [
    "is_excluded",
    "is_ours",
    "is_test",
    "may_matter",
    "project_root",
    "python_files",
    "source_files",
]

_SKIPPED: Final = frozenset(
    {
        *("__pycache__", "node_modules", "site-packages", "venv", "env", "virtualenv"),
        "__pypackages__",
    }
)
_ENDINGS: Final = (".py", ".lock", ".toml", ".cfg", ".txt")
_BUILT: Final = frozenset({"build", "dist"})
"""Folders beside a manifest that hold what was built; elsewhere they are packages."""
_MANIFESTS: Final = ("pyproject.toml", "setup.py", "package.json")
_TESTS: Final = re.compile(
    r"(^|/)(tests?|e2e|fixtures)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$"
)
_MATTERS: Final = (
    *(b"fastapi", b"starlette", b"APIRouter", b"HTTPException", b"UploadFile", b"Depends("),
    *(b"BackgroundTasks", b"create_task(", b"ensure_future("),
)
_ROUTES: Final = re.compile(rb"@\w+\.(?:get|post|put|patch|delete|route|websocket)\(")


def project_root(paths: Sequence[Path]) -> Path:
    """Return the folder whose files can be imported by what is audited."""
    common = Path(os.path.commonpath([str(path) for path in paths]))
    start = common if common.is_dir() else common.parent
    marks = (".git", "pyproject.toml", "setup.py", "requirements.txt")
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in marks):
            return folder
    return start


def python_files(root: Path) -> Iterator[str]:
    """Return the Python files under a folder, relative to it, without those of others."""
    return (path for path in source_files(root) if path.endswith(".py"))


def source_files(root: Path) -> Iterator[str]:
    """Return Python files, and those that say which versions of libraries are used."""
    prefix = len(str(root)) + 1
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if is_ours(folder, name))
        here = folder[prefix:].replace(os.sep, "/")
        for name in sorted(names):
            if not (name.endswith(_ENDINGS) or name == "Pipfile"):
                continue
            if os.path.isfile(f"{folder}/{name}"):  # noqa: PTH113  # there are thousands
                yield f"{here}/{name}" if here else name


def is_ours(folder: str, name: str) -> bool:
    """Return whether a folder in another one holds code of the project."""
    if name in _SKIPPED or name.startswith(".") or name.endswith(".egg-info"):
        return False
    if name in _BUILT and any(Path(folder, one).exists() for one in _MANIFESTS):
        return False
    return not Path(folder, name, "pyvenv.cfg").exists()


def is_test(path: str) -> bool:
    """Return whether a file is there to test others."""
    return _TESTS.search(path) is not None


def is_excluded(path: str, patterns: Iterable[str]) -> bool:
    """Return whether one of some patterns matches a file, or a folder above it."""
    parts = path.split("/")
    ways = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return any(
        fnmatch(way, pattern.rstrip("/")) or fnmatch(parts[number], pattern.rstrip("/"))
        for pattern in patterns
        for number, way in enumerate(ways)
    )


def may_matter(source: bytes, more: Sequence[bytes] = ()) -> bool:
    """Return whether a file may hold something that rules are asked about.

    So may one that is no Python by its first look: it is named where it cannot be read.
    """
    if b"\0" in source or any(word in source for word in _MATTERS):
        return True
    if _ROUTES.search(source) is not None:
        return True
    return any(re.search(pattern, source) is not None for pattern in more)
