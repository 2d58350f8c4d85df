"""What a wheel and an sdist contain: the package, and nothing that belongs to its making."""

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

__all__ = ["refusals_of_sdist", "refusals_of_wheel"]

_PACKAGE = "roadworthy"
_WITH_THE_PACKAGE = {
    ".py",
    ".typed",
    ".md",
    ".html",
    ".js",
    ".css",
    ".mako",
    ".svg",
    ".txt",
    ".json",
}
_IN_AN_SDIST = {
    "CHANGELOG.md",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "SECURITY.md",
    ".gitignore",  # hatchling puts it in
    "pyproject.toml",
}
_NEEDED = ("py.typed", "__init__.py", ".agents/skills/roadworthy/SKILL.md")


def refusals_of_wheel(wheel: Path) -> list[str]:
    """Say what is in a wheel that should not be, and what should be and is not."""
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]
    about = [name for name in names if name.parts[0].endswith(".dist-info")]
    ours = [name for name in names if name.parts[0] == _PACKAGE]
    return [
        *(f"{wheel.name} has {name}" for name in names if name not in {*about, *ours}),
        *_odd(wheel.name, ours),
        *_missing(wheel.name, ours),
        *_unlicensed(wheel.name, about),
    ]


def refusals_of_sdist(sdist: Path) -> list[str]:
    """Say what is in an sdist that should not be, and what should be and is not."""
    with tarfile.open(sdist) as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    names = [PurePosixPath(*PurePosixPath(file).parts[1:]) for file in files]
    ours = [name.relative_to("src") for name in names if name.is_relative_to(f"src/{_PACKAGE}")]
    beside = {str(name) for name in names if not name.is_relative_to(f"src/{_PACKAGE}")}
    return [
        *(f"{sdist.name} has {name}" for name in sorted(beside - _IN_AN_SDIST)),
        *(f"{sdist.name} has no {name}" for name in sorted(_IN_AN_SDIST - beside)),
        *_odd(sdist.name, ours),
        *_missing(sdist.name, ours),
    ]


def _odd(archive: str, ours: Iterable[PurePosixPath]) -> list[str]:
    return [f"{archive} has {name}" for name in ours if _is_a_test(name) or _is_strange(name)]


def _is_a_test(name: PurePosixPath) -> bool:
    """Return whether pytest would collect a file, or reads its fixtures."""
    return name.name == "conftest.py" or name.match("test_*.py") or name.match("*_test.py")


def _is_strange(name: PurePosixPath) -> bool:
    return "__pycache__" in name.parts or name.suffix not in _WITH_THE_PACKAGE


def _missing(archive: str, ours: Iterable[PurePosixPath]) -> list[str]:
    there = {str(name) for name in ours}
    return [
        f"{archive} has no {_PACKAGE}/{name}"
        for name in _NEEDED
        if f"{_PACKAGE}/{name}" not in there
    ]


def _unlicensed(archive: str, about: Iterable[PurePosixPath]) -> list[str]:
    licensed = any(name.parts[1:] == ("licenses", "LICENSE") for name in about)
    return [] if licensed else [f"{archive} has no licence in its .dist-info/licenses"]
