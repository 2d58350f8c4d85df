"""`Codebase`: the files of a project, parsed when somebody asks for them.

Most files of a repository are never reached from a route, and reading all of them takes
longer than everything else: so nothing is parsed before a name leads to it.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from roadworthy.audit.model.result import Skipped
from roadworthy.audit.source.discovery import is_test
from roadworthy.audit.source.module import Module, Project
from roadworthy.audit.source.newer import Unreadable, parse
from roadworthy.audit.source.pins import Projects

__all__ = ["Codebase"]

T = TypeVar("T")

_DEFINES: Final = re.compile(rb"^\s*(?:async\s+)?def\s+(\w+)", re.MULTILINE)

_CALLS: Final = re.compile(rb"\b_*([A-Z]\w*)\(")
"""Calls of what is named as a class is."""

_MOST_KEPT: Final = 40_000_000
"""Bytes of source that are kept to be searched again."""
_ROOTS: Final = ("src", "backend", "server", "lib", "python", "app", "api")
"""Folders that are often on Python's path without being a package's parent."""


class Codebase:
    """The Python files under a folder, as modules that import each other."""

    def __init__(
        self, root: Path, files: Iterable[str], *, unsaved: Mapping[str, bytes] | None = None
    ) -> None:
        self.root = root
        self.unsaved = unsaved or {}
        """What an editor holds in place of files."""
        self.files = frozenset(files)
        self.skipped: dict[str, Skipped] = {}
        self.parsed: set[str] = set()
        """The files that had to be understood."""
        self.size = 0
        """The bytes of source whose trees are kept."""
        self.facts: dict[Hashable, Any] = {}
        """What was found out once about functions, classes and modules."""
        self.lasting: dict[Hashable, Any] = {}
        """What was found out once, in texts and numbers: it holds when trees are let go."""
        self._made: dict[Callable[[Project], Any], Any] = {}
        self._mentioning: dict[tuple[bytes, bytes, str], list[str]] = {}
        self._projects = Projects(root)
        self._read_before: dict[str, bytes] = {}
        self._room = _MOST_KEPT
        self._defining: dict[str, list[str]] | None = None
        self._constructing: dict[str, list[str]] | None = None
        self._modules: dict[str, Module | None] = {}
        self._found: dict[tuple[str, str], str | None] = {}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in self.files:
            self._by_name[_module_name(path)].append(path)

    def module(self, path: str) -> Module | None:
        """Return the module in a file, or None where it cannot be parsed."""
        if path not in self._modules:
            real = self._real(path)
            self._modules[path] = self._read(path) if real == path else self.module(real)
        return self._modules[path]

    def project(self, path: str) -> str:
        """Return the folder of the project that a file belongs to."""
        return self._projects.of(path)

    def _real(self, path: str) -> str:
        """Return the file of the project that a link leads to, or the path itself."""
        file = self.root / path
        if not file.is_symlink():
            return path
        real = file.resolve()
        found = real.relative_to(self.root).as_posix() if real.is_relative_to(self.root) else path
        return found if found in self.files else path

    def the(self, kind: Callable[[Project], T]) -> T:
        """Return the one object of a kind, such as the resolver, that is made for these files."""
        if kind not in self._made:
            self._made[kind] = kind(self)
        made: T = self._made[kind]
        return made

    def forget(self) -> None:
        """Let go of all trees; they are parsed again where somebody asks."""
        for module in self._modules.values():
            if module is not None:
                module.release()
        self._modules.clear()
        self._made.clear()
        self.facts.clear()
        self.size = 0

    def mentioning(self, text: bytes, pattern: bytes = b"", *, near: str = "") -> list[str]:
        """Return the files that hold a text, and match a pattern, without parsing them.

        With `near`, only those of the same project as that file.
        """
        project = self.project(near) if near else ""
        asked = (text, pattern, project)
        if asked not in self._mentioning:
            paths = self._served_in.get(project, []) if near else self._served
            search = re.compile(pattern, re.MULTILINE).search
            self._mentioning[asked] = [
                path
                for path in paths
                if text in (source := self._bytes(path)) and (not pattern or search(source))
            ]
        return self._mentioning[asked]

    def naming(self, name: str, near: str) -> list[str]:
        """Return the files that hold a name as a word, in the project of a file."""
        word = name.encode()
        return self.mentioning(word, rb"\b" + re.escape(word) + rb"\b", near=near)

    def defining(self, name: str) -> list[str]:
        """Return the files that define functions of a name, without parsing them."""
        if self._defining is None:
            self._defining = defaultdict(list)
            for path in self._served:
                for found in set(_DEFINES.findall(self._bytes(path))):
                    self._defining[found.decode()].append(path)
        return self._defining.get(name, [])

    def constructing(self, name: str) -> list[str]:
        """Return the files that call what has the name of a class, without parsing them."""
        if self._constructing is None:
            self._constructing = defaultdict(list)
            for path in self._served:
                for found in set(_CALLS.findall(self._bytes(path))):
                    self._constructing[found.decode()].append(path)
        return self._constructing.get(name.lstrip("_"), [])

    @cached_property
    def _served(self) -> list[str]:
        """Return the files that are no tests."""
        return sorted(path for path in self.files if not is_test(path))

    @cached_property
    def _served_in(self) -> dict[str, list[str]]:
        """Return the files that are no tests, by their projects."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in self._served:
            found[self.project(path)].append(path)
        return found

    def _bytes(self, path: str) -> bytes:
        try:
            return self._source(path)
        except OSError:
            return b""

    def _source(self, path: str) -> bytes:
        """Return what a file holds: each is read once, to be searched and to be parsed."""
        known = self.unsaved.get(path, self._read_before.get(path))
        if known is not None:
            return known
        with open(f"{self.root}/{path}", "rb") as file:  # noqa: PTH123 - twice as fast
            source = file.read()
        self._room -= len(source)
        if self._room > 0:
            self._read_before[path] = source
        return source

    def find(self, dotted: str, importer: str) -> Module | None:
        """Return the module that `import dotted` means in a file, where it is one of ours."""
        folder = importer.rpartition("/")[0] or "."
        key = (folder, dotted)
        if key not in self._found:
            self._found[key] = self._look_for(dotted, folder)
        path = self._found[key]
        return None if path is None else self.module(path)

    def find_relative(self, level: int, dotted: str, importer: str) -> Module | None:
        """Return the module that `from ..dotted import` means in a file."""
        folder = importer.split("/")[:-level]
        path = "/".join((*folder, *dotted.split("."))) if dotted else "/".join(folder)
        for candidate in (f"{path}.py", f"{path}/__init__.py" if path else "__init__.py"):
            if candidate in self.files:
                return self.module(candidate)
        return None

    def _look_for(self, dotted: str, folder: str) -> str | None:
        parts = tuple(dotted.split("."))
        candidates = [
            path
            for path in self._by_name.get(parts[-1], ())
            if _parts(path)[-len(parts) :] == parts
        ]
        reachable = [
            (near, path)
            for path in candidates
            if (near := self._nearness(_parts(path)[: -len(parts)], folder, parts)) is not None
        ]
        return max(reachable)[1] if reachable else None

    def _nearness(
        self, base: tuple[str, ...], folder: str, parts: tuple[str, ...]
    ) -> tuple[int, int] | None:
        """Return how near a folder on Python's path would be, or None where it is none."""
        here = () if folder == "." else tuple(folder.split("/"))
        common = _common(base, here)
        beside = base[common:]
        if len(parts) == 1:
            alone = parts[0] not in sys.stdlib_module_names
            package = "/".join((*base, "__init__.py")) in self.files
            return (common, 0) if not beside and alone and not package else None
        if not beside or all(part in _ROOTS for part in beside) or len(beside) == 1:
            return (common, -len(beside))
        return None

    def _read(self, path: str) -> Module | None:
        try:
            source = self._source(path)
            tree = parse(source)
        except (OSError, Unreadable, RecursionError, MemoryError) as error:
            self.skipped[path] = Skipped(path, str(error) or type(error).__name__)
            return None
        self.parsed.add(path)
        self.size += len(source)
        return Module(self, path, tree, source)


def _module_name(path: str) -> str:
    return _parts(path)[-1] if _parts(path) else ""


def _parts(path: str) -> tuple[str, ...]:
    """Return the dotted parts of a file: `a/b/__init__.py` is (a, b)."""
    parts = path.removesuffix(".py").split("/")
    return tuple(parts[:-1] if parts[-1] == "__init__" else parts)


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return number
    return min(len(one), len(other))
