"""When dependencies with `yield` end: it depends on the version of FastAPI."""

from dataclasses import dataclass
from typing import Final

from roadworthy.audit.source.module import Module
from roadworthy.audit.source.pins import LATEST, Version, pin_of, service_root

__all__ = ["Ending", "ending"]

_IN_TIME: Final[tuple[Version, Version]] = ((0, 106), (0, 118))
"""From the first to the second, code after `yield` ran before the answer was sent."""
_SCOPES: Final[Version] = (0, 121)
_SINCE: Final = "FastAPI 0.118"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a service's FastAPI does with dependencies, and how that is known."""

    since: str
    """The version from which they end after the answer; empty where they do now."""
    said: str
    """Who says which version it is, for messages."""
    known: bool
    """Whether the project says it."""
    has_scopes: bool = True
    """Whether `Depends(..., scope="function")` is there."""


def ending(module: Module) -> Ending:
    """Return when dependencies end in the service of a module."""
    root = module.codebase.root
    pin = pin_of(root, service_root(root, module.path), "fastapi")
    if pin is None:
        return Ending("", "today's FastAPI", known=False)
    in_time = _IN_TIME[0] <= pin.version < _IN_TIME[1]
    said = "today's FastAPI" if pin.version == LATEST else pin.source
    scopes = pin.version >= _SCOPES
    return Ending(_SINCE if in_time else "", said, known=True, has_scopes=scopes)
