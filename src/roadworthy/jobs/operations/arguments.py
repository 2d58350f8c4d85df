"""Arguments that several operations take, checked where they are given."""

from typing import Final

__all__ = ["name_of_operator"]

_MAX_NAME: Final = 200


def name_of_operator(by: str) -> str:
    """Return who acts, at most 200 characters.

    Raises:
        ValueError: It is empty: an action that nobody has done cannot be asked about.
    """
    if not by.strip():
        raise ValueError('Say who acts: by="ana", or the name that the access check knows.')
    return by.strip()[:_MAX_NAME]
