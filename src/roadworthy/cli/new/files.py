"""The files of a service, rendered for what was chosen."""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from roadworthy.cli.new.names import Names
from roadworthy.cli.new.template import render

__all__ = ["PARTS", "files_of"]

PARTS: Final = ("jobs", "uploads", "console")
"""What a service may have beside its resource."""

_TEMPLATES: Final = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "AGENTS.md": "AGENTS.md",
    "Dockerfile": "Dockerfile",
    ".gitignore": "gitignore",
    "{package}/app.py": "app.py",
    "{package}/models.py": "models.py",
    "{package}/migrations/0001_first_tables.py": "migration.py",
    "tests/test_{package}.py": "test_app.py",
}
"""The template of each path; in the package, each is called so and `.txt`."""

_ASYNC: Final = {
    "def": "async def",
    "await": "await ",
    "Session": "AsyncSession",
    "Tx": "Tx",
    "Read": "Read",
}
_SYNC: Final = {
    "def": "def",
    "await": "",
    "Session": "Session",
    "Tx": "SyncTx",
    "Read": "SyncRead",
}


def files_of(
    names: Names, *, parts: Collection[str] = (), postgresql: bool = False, sync: bool = False
) -> dict[str, str]:
    """Return the text of each file of a service, by its path in the folder of the service."""
    database = "postgresql" if postgresql else "sqlite"
    having = {*parts, database, "sync" if sync else "async"}
    values = {
        **names._asdict(),
        **(_SYNC if sync else _ASYNC),
        "extras": ",".join(sorted({*parts, database, "migrations"})),
        "version": version("roadworthy").partition("+")[0],
    }
    rendered = {
        path.format(package=names.package): _rendered(template, having, values)
        for path, template in _TEMPLATES.items()
    }
    return {**rendered, f"{names.package}/__init__.py": ""}


def _rendered(template: str, having: Collection[str], values: Mapping[str, str]) -> str:
    source = files("roadworthy.cli.new") / "service" / f"{template}.txt"
    return render(source.read_text(encoding="utf-8"), having=having, values=values)
