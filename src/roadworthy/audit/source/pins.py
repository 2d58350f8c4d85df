"""Which version of a library a project runs, by its lock file or what it asks for."""

import codecs
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

__all__ = ["LATEST", "Pin", "Projects", "Version", "named_in", "pin_of", "service_root"]

Version: TypeAlias = tuple[int, ...]
"""Its numbers: 0.115.2 is (0, 115, 2)."""

LATEST: Final[Version] = (999,)
"""What an open range resolves to today."""

MANIFESTS: Final = (
    *("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile"),
    *("uv.lock", "poetry.lock"),
)
"""What marks the folder of a service."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The newest version that a project may run, and who says so."""

    version: Version
    source: str
    """The file, and what it says: `pyproject.toml: fastapi>=0.115.12`."""

    @property
    def is_open(self) -> bool:
        """Return whether any later version may be installed."""
        return self.version == LATEST


def service_root(root: Path, path: str) -> str:
    """Return the nearest folder above a file that says what its service depends on."""
    return _service_of(root, path.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _service_of(root: Path, folder: str) -> str:
    if not folder:
        return "."
    return folder if _is_service(root / folder) else service_root(root, folder)


class Projects:
    """Which project each file belongs to, where several lie under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._is_one = _is_service(root) or (root / ".git").exists()
        self._known: dict[str, str] = {}

    def of(self, path: str) -> str:
        """Return the outermost folder above a file that has a manifest; `.` for the root."""
        folder = path.rpartition("/")[0]
        if self._is_one or not folder:
            return "."
        if folder not in self._known:
            self._known[folder] = self._outermost(folder)
        return self._known[folder]

    def _outermost(self, folder: str) -> str:
        above = self.of(folder)
        return folder if above == "." and _is_service(self._root / folder) else above


@lru_cache(maxsize=4096)
def _is_service(folder: Path) -> bool:
    if any((folder / name).exists() for name in MANIFESTS):
        return True
    return any((folder / "requirements").glob("*.txt"))  # a package may have that name, too


@lru_cache(maxsize=512)
def pin_of(root: Path, folder: str, library: str) -> Pin | None:
    """Return which version of a library a folder, or one above it, asks for."""
    here = Path(folder)
    while True:
        found = _in_folder(root / here, library)
        if found is not None:
            return found
        if here == Path():
            return None
        here = here.parent


def named_in(folder: Path, library: str) -> bool:
    """Return whether a file in a folder, and not in one above, asks for a library itself.

    A lock file also names what other libraries ask for, and the service never uses.
    """
    return any(_listed(path, library) is not None for path in _listings(folder))


@lru_cache(maxsize=2048)
def _in_folder(folder: Path, library: str) -> Pin | None:
    for name in ("uv.lock", "poetry.lock", "pdm.lock"):
        if (found := _locked(folder / name, library)) is not None:
            return found
    if (found := _pipfile(folder / "Pipfile.lock", library)) is not None:
        return found
    for path in _listings(folder):
        if (found := _listed(path, library)) is not None:
            return found
    return None


def _text(path: Path) -> str:
    """Return what a file says, as pip reads it: PowerShell's `pip freeze > …` writes UTF-16."""
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    return content.decode(encoding, errors="replace").replace("\r\n", "\n")


_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What stands before a text of that kind, and before no text in UTF-8."""


def _locked(path: Path, library: str) -> Pin | None:
    if not path.is_file():
        return None
    text = _text(path)
    pattern = rf'name\s*=\s*"{re.escape(library)}"\s*\n\s*version\s*=\s*"([^"]+)"'
    found = re.search(pattern, text, re.IGNORECASE)
    return None if found is None else Pin(_version(found[1]), f"{path.name}: {library} {found[1]}")


def _pipfile(path: Path, library: str) -> Pin | None:
    if not path.is_file():
        return None
    try:
        content: Any = json.loads(_text(path))
        text = content["default"][library]["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return Pin(_version(text.lstrip("=")), f"{path.name}: {library}{text}")


def _listings(folder: Path) -> list[Path]:
    names = [folder / "pyproject.toml", folder / "setup.cfg", folder / "setup.py"]
    names += [folder / "Pipfile", *sorted(folder.glob("*requirements*.txt"))]
    names += sorted(folder.glob("requirements/*.txt"))
    return [path for path in names if path.is_file()]


def _listed(path: Path, library: str) -> Pin | None:
    """Find `fastapi[all]>=0.100,<1`, or `fastapi = "^0.98"`, in a file that lists."""
    text = _text(path)
    name = re.escape(library)
    asked = re.search(
        rf"""(?mi)(?:^|["'\s\[(,]){name}(?:\[[^\]]*\])?\s*"""
        r"""(?P<asks>(?:[=<>!~^@][^"';#\n]*)?)["';,#\n]""",
        text + "\n",
    )
    poetry = re.search(rf'(?mi)^\s*{name}\s*=\s*(?:\{{[^}}\n]*version\s*=\s*)?"([^"]*)"', text)
    if poetry is not None and path.name in {"pyproject.toml", "Pipfile"}:
        return Pin(_newest(poetry[1]), f'{path.name}: {library} = "{poetry[1]}"')
    if asked is None:
        return None
    asks = asked["asks"].strip().rstrip(",")
    return Pin(_newest(asks), f"{path.name}: {library}{asks}")


def _newest(asks: str) -> Version:
    """Return the newest version that a specifier allows."""
    newest = LATEST
    for part in re.split(r"[,\s]+(?=[=<>!~^\d*])", asks.strip()):
        newest = min(newest, _bound(part.strip()))
    return newest


def _bound(part: str) -> Version:  # noqa: PLR0911 - a table
    found = re.match(r"(===?|<=?|~=?|\^|>=?|!=)?\s*([\d.]+)", part)
    if found is None:
        return LATEST
    how, version = found[1] or "==", _version(found[2])
    if how in {"==", "==="} and "*" in part:
        return (*version, 999)
    if how in {"==", "===", "<="}:
        return version
    if how == "<":
        return _before(version)
    if how == "~" or (how == "~=" and len(version) > 1):
        kept = version[:2] if how == "~" else version[:-1]
        return (*kept, 999)
    if how == "^":
        return _caret(version)
    return LATEST


def _before(version: Version) -> Version:
    trimmed = list(version)
    while trimmed and trimmed[-1] == 0:
        trimmed.pop()
    return (*trimmed[:-1], trimmed[-1] - 1, 999) if trimmed else (0,)


def _caret(version: Version) -> Version:
    for at, number in enumerate(version):
        if number:
            return (*version[: at + 1], 999)
    return (*version, 999)


def _version(text: str) -> Version:
    return tuple(int(number) for number in re.findall(r"\d+", text.split("+", maxsplit=1)[0])[:3])
