"""Who may see the console, and what each may do there: `Access` answers with a `Viewer`."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeAlias, cast, get_args

from starlette.requests import Request

__all__ = ["EVERY_ACTION", "Access", "Action", "Viewer", "nobody", "viewer_of"]

Action: TypeAlias = Literal["retry", "cancel", "dismiss", "pause", "run_now"]
"""What an operator can do: `pause` is also to resume."""
EVERY_ACTION: Final[tuple[Action, ...]] = get_args(Action)
"""All of them: `Viewer(name, actions=EVERY_ACTION)`."""
_MAX_NAME: Final = 200


class Viewer:
    """Somebody who may see the console.

    Args:
        name: Who that is: the record of actions has it.
        actions: What they may do; nothing, if it is not given: they may only look.

    Raises:
        ValueError: The name is empty, or has more than 200 characters, or there is no such action.
    """

    __slots__ = ("actions", "name")

    def __init__(self, name: str, *, actions: Iterable[Action] = ()) -> None:
        if not name.strip() or len(name) > _MAX_NAME:
            raise ValueError(f"A viewer's name has 1 to {_MAX_NAME} characters, not {len(name)}.")
        self.name = name.strip()
        self.actions = frozenset(actions)
        if unknown := self.actions - set(EVERY_ACTION):
            known = ", ".join(sorted(EVERY_ACTION))
            raise ValueError(f"There is no action {min(unknown)!r}: write some of {known}.")

    def may(self, action: Action) -> bool:
        """Return whether this viewer may do that."""
        return action in self.actions

    def __repr__(self) -> str:
        return f"Viewer({self.name!r}, actions={sorted(self.actions)})"


Access: TypeAlias = Callable[[Request], Viewer | Awaitable[Viewer | None] | None]
"""Return who sent a request, or None: for those there is no console. It may be `async def`."""


def nobody(request: Request) -> None:
    """Let nobody in."""


async def viewer_of(access: Access, request: Request) -> Viewer | None:
    """Ask who sent a request.

    Raises:
        TypeError: The answer is neither a `Viewer` nor None: `True` would open the console to all.
    """
    answer = access(request)
    found = await answer if inspect.isawaitable(answer) else answer
    if found is not None and not isinstance(cast("object", found), Viewer):
        raise TypeError(
            f"access(request) returned {type(found).__name__}: return Viewer('ana') for somebody "
            "who may look, or None for nobody."
        )
    return found
