"""Render the files of `service`: Python's own templates, with a condition before each line.

    jobs             | from roadworthy.jobs import Jobs
    -jobs uploads    | ...

A line is there if every word of its condition holds: `-jobs` is "without jobs", and
`jobs/uploads` "with either". Behind the bar, `$name` and its like are replaced.
"""

from collections.abc import Collection, Mapping
from string import Template
from typing import Final

__all__ = ["render"]

_BAR: Final = "|"


def render(text: str, *, having: Collection[str], values: Mapping[str, str]) -> str:
    """Return the lines whose condition holds, with the values put in.

    Raises:
        KeyError: A line asks for a value that there is not.
        ValueError: A line has no bar, or a dollar that asks for nothing.
    """
    lines = (line.split(_BAR, 1) for line in text.splitlines())
    kept = [line.removeprefix(" ") for condition, line in lines if _holds(condition, having)]
    return Template("\n".join([*kept, ""])).substitute(values)


def _holds(condition: str, having: Collection[str]) -> bool:
    return all(
        any((word.removeprefix("-") in having) != word.startswith("-") for word in words.split("/"))
        for words in condition.split()
    )
