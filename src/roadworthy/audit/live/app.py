"""`App`: what an application has at run time, found out in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["App", "CannotImport", "Served", "Used", "look"]


class CannotImport(RuntimeError):
    """The application could not be imported; the text says why."""


@dataclass(frozen=True, slots=True)
class Used:
    """A dependency of a route."""

    file: str
    name: str
    scope: str | None


@dataclass(frozen=True, slots=True)
class Served:
    """A route that the application answers."""

    path: str
    methods: tuple[str, ...]
    file: str
    line: int
    """The first line of its function, decorators included."""
    name: str
    max_body_size: int | None
    """In bytes; the innermost limit that FastAPI applies."""
    dependencies: tuple[Used, ...]

    @property
    def title(self) -> str:
        """Return its methods and path: `POST /orders`."""
        return f"{'/'.join(self.methods) or 'ANY'} {self.path}"


@dataclass(frozen=True, slots=True)
class App:
    """An application as it runs."""

    target: str
    routes: tuple[Served, ...]
    handlers: frozenset[str]
    """What it has exception handlers of its own for: dotted names of classes, or statuses."""
    middleware: tuple[str, ...]


def look(target: str, *, folder: Path, timeout: timedelta = timedelta(seconds=60)) -> App:
    """Import `module:app` in another process, and return what it has.

    Raises:
        CannotImport: The import failed, took too long, or gave no FastAPI application.
    """
    command = [sys.executable, str(Path(__file__).with_name("probe.py")), target]
    try:
        done = subprocess.run(  # noqa: S603 - the user has asked to run this code
            command,
            cwd=folder,
            capture_output=True,
            timeout=timeout.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        text = f"{target} was not imported within {timeout.total_seconds():.0f} s."
        raise CannotImport(text) from late
    return _app(target, done)


def _app(target: str, done: subprocess.CompletedProcess[bytes]) -> App:
    try:
        facts: dict[str, Any] = json.loads(done.stdout.decode().strip().rpartition("\n")[2])
    except ValueError as error:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CannotImport(f"{target} ended its process while it was imported. {said}") from error
    if "error" in facts:
        raise CannotImport(f"{target} cannot be imported: {facts['error']}")
    return App(
        target=target,
        routes=tuple(_served(one) for one in facts["routes"]),
        handlers=frozenset(facts["handlers"]),
        middleware=tuple(facts["middleware"]),
    )


def _served(facts: dict[str, Any]) -> Served:
    used = tuple(Used(one["file"], one["name"], one["scope"]) for one in facts["dependencies"])
    return Served(
        path=facts["path"],
        methods=tuple(facts["methods"]),
        file=facts["file"],
        line=facts["line"],
        name=facts["name"],
        max_body_size=facts["max_body_size"],
        dependencies=used,
    )
