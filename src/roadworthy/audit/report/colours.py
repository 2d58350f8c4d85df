"""Colours for a terminal, where it is one and nobody has asked for none."""

import os
from dataclasses import dataclass
from typing import Final, TextIO

__all__ = ["Colours", "colours_for"]

_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}


@dataclass(frozen=True, slots=True)
class Colours:
    """Paint text, or leave it."""

    used: bool

    def paint(self, text: str, *names: str) -> str:
        """Return text between the codes of a terminal."""
        if not self.used or not text:
            return text
        return f"\033[{';'.join(_CODES[name] for name in names)}m{text}\033[0m"


def colours_for(stream: TextIO) -> Colours:
    """Return the colours of a stream: none in a file or a pipe, nor with `NO_COLOR`."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Colours(used=stream.isatty() and not plain)
