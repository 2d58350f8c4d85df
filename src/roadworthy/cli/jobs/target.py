"""`module:jobs`: find the `Jobs` of an application and the parts to open."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from roadworthy.cli.parsing import Mistake
from roadworthy.jobs import Engine, Jobs

__all__ = ["HELP", "Parts", "jobs_of", "load", "parts_of"]

Parts: TypeAlias = list[AbstractAsyncContextManager[object]]
"""What a worker opens, from left to right."""

HELP: Final = (
    "module:name of a Jobs, or of a function without parameters that returns one, or the parts "
    "to open from left to right"
)
"""What a target is, for the help of each command that takes one."""
_SAY: Final = "Type module:name, such as shop.jobs:jobs, of a Jobs(db, tasks=[...])"


def load(target: str) -> Sequence[object]:
    """Return the parts that a target names: a `Jobs`, and those to open with it.

    Raises:
        Mistake: There is no such thing, or it is something else.
    """
    found = _named(target)
    if callable(found) and not isinstance(found, Jobs):
        found = _called(target, found)
    parts = [found] if isinstance(found, Jobs) else _several(found)
    number = sum(isinstance(part, Jobs) for part in parts)
    if number > 1:
        raise Mistake(
            f"{target} returns {number} Jobs, and a worker runs those of one database. Start one "
            "worker for each: name the Jobs itself, or a function that returns one of them."
        )
    if number == 0:
        raise Mistake(f"{target} is no Jobs, and returns none: it is {_kind(found)}. {_SAY}.")
    return parts


def jobs_of(parts: Sequence[object]) -> Jobs:
    """Return the `Jobs` among parts."""
    return next(part for part in parts if isinstance(part, Jobs))


def parts_of(parts: Sequence[object], engine: Engine | None) -> Parts:
    """Return what a worker opens, with the `Jobs` as one that runs.

    It runs by `engine`, if one is given. A `Jobs` alone is opened after its database and
    those of its parts that can be opened.
    """
    jobs = jobs_of(parts)
    opened: list[object] = list(parts)
    if len(parts) == 1:
        opened = [jobs.work.units, *jobs.work.parts, jobs]
    opened = [jobs.with_engine(engine) if part is jobs else part for part in opened]
    return [cast("Any", part) for part in opened if hasattr(part, "__aenter__")]


def _named(target: str) -> Any:
    module, _, name = target.partition(":")
    if not module or not name:
        raise Mistake(f"{target!r} names no module and a name in it. {_SAY}.")
    sys.path.insert(0, str(Path.cwd()))  # as uvicorn does
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is not None and f"{module}.".startswith(f"{missing.name}."):
            raise Mistake(f"There is no module {missing.name} in {Path.cwd()}. {_SAY}.") from None
        raise Mistake(f"{module} cannot be imported: {missing}.") from missing
    except Exception as error:  # whatever the application's code raises
        raise Mistake(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise Mistake(f"{module} has no {name}. {_SAY}.")
        found = getattr(found, part)
    return found


def _called(target: str, function: Callable[..., Any]) -> Any:
    try:
        return function()
    except Exception as error:  # whatever the application's code raises
        raise Mistake(
            f"{target} is called without arguments to make a Jobs, and fails: "
            f"{type(error).__name__}: {error}"
        ) from error


def _several(found: object) -> list[object]:
    if not isinstance(found, Iterable) or isinstance(found, str | bytes):
        return []
    return list(cast("Iterable[object]", found))


def _kind(found: object) -> str:
    return f"a {type(found).__name__}"
