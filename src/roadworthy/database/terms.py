"""Check the arguments of a unit of work where they are passed."""

from inspect import isclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["check_unit"]

_LEVELS: Final = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
"""The levels of PostgreSQL, without AUTOCOMMIT, which could roll nothing back."""
_AS_TYPED: Final = ", ".join(f'isolation="{level}"' for level in _LEVELS)


def check_unit(
    *, isolation: object = None, session: object = None, kind: type[Any] = AsyncSession
) -> None:
    """Check the isolation level and the session class of a unit of work.

    `kind` is the class that `session` has to be a subclass of.

    Raises:
        ValueError: `isolation` is no level.
        TypeError: `isolation` is no text, or `session` is no class of sessions.
    """
    if isolation is not None and not isinstance(isolation, str):
        raise TypeError(f"isolation is {isolation!r}, and has to be a text: {_AS_TYPED}.")
    if isolation is not None and isolation.replace("_", " ") not in _LEVELS:
        raise ValueError(f"isolation is {isolation!r}, and has to be one of {_AS_TYPED}.")
    if session is not None and not (isclass(session) and issubclass(session, kind)):
        raise TypeError(
            f"session is {session!r}, and has to be {kind.__name__} or a class that is made from "
            f"it: session={kind.__name__}."
        )
