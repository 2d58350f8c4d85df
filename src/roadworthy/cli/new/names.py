"""What a service may be called, and what its package and its title are then."""

import re
import sys
from keyword import iskeyword
from typing import Final, NamedTuple

from roadworthy.cli.parsing import Mistake

__all__ = ["Names", "names_of"]

_FORM: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST: Final = 30
"""Letters: with more, lines of the service would be longer than its formatter writes them."""
_LIKE: Final = (
    f"A name is like my-shop: a letter, then at most {_LONGEST - 1} letters, digits, hyphens and "
    "underscores, all lowercase."
)
_OWN: Final = frozenset({"test", "tests", "src", "build", "dist"})
"""What tools and the service itself have other folders for."""
_IMPORTED: Final = frozenset(
    [
        *("roadworthy", "fastapi", "starlette", "pydantic", "pydantic_core", "sqlalchemy"),
        *("aiosqlite", "asyncpg", "alembic", "mako", "uvicorn", "anyio", "jinja2", "cronsim"),
        *("python_multipart", "pytest", "httpx", "httpx2", "mypy", "ruff", "hatchling"),
    ]
)
_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)
"""What Windows has instead of a folder of this name."""


class Names(NamedTuple):
    """The names of one service."""

    name: str
    """Of the project and its folder: `my-shop`."""
    package: str
    """Of what is imported: `my_shop`."""
    title: str
    """For people: `My Shop`."""


def names_of(name: str) -> Names:
    """Return the names that follow from one.

    Raises:
        Mistake: It is no name for a service; the text says what a name is like.
    """
    if not _fits(name):
        raise Mistake(f"{name!r} is no name for a service. {_LIKE}{_instead(name)}")
    package = name.replace("-", "_")
    if taken := _taken(package):
        instead = _instead(f"{name}-service")
        raise Mistake(f"{name!r} is no name for a service: it is {taken}.{instead}")
    return Names(name, package, package.replace("_", " ").title())


def _fits(name: str) -> bool:
    return len(name) <= _LONGEST and _FORM.fullmatch(name) is not None


def _instead(name: str) -> str:
    """Return what to type, where a name like this one fits."""
    like = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f" Type: roadworthy new {like}" if _fits(like) and not _taken(like) else ""


def _taken(package: str) -> str | None:
    """Return what else has the name, or None."""
    if iskeyword(package):
        return "a word of Python"
    if package in sys.stdlib_module_names:
        return "a module of Python, which nobody could import any more"
    if package in _IMPORTED:
        return "a package that the service needs"
    if package in _OWN or package in _DEVICES:
        return "a name with a meaning of its own"
    return None
