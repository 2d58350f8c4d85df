"""The output of commands: tables, times and JSON, without control codes."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

__all__ = ["age", "as_json", "give_up_writing", "moment", "printable", "table", "tell", "write"]


def write(text: str) -> None:
    """Write lines that were asked for."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """Write a line about them, where no pipe takes it for one of them."""
    sys.stderr.write(f"{text}\n")


def give_up_writing() -> None:
    """Let the interpreter end without a word, where nobody reads what it has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_json(value: object) -> str:
    """Return a value as JSON in ASCII; what is no JSON is written as text."""
    return json.dumps(value, indent=2, default=str)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under their columns, each as wide as its widest cell."""
    cells = [list(columns), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths) for row in cells)


def printable(text: str) -> str:
    """Return text without what would move the cursor or colour the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def moment(at: datetime | None) -> str:
    """Return a time in UTC to the second, or `-`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "-"


def age(waited: timedelta) -> str:
    """Return a duration to the second: `1 day, 2:03:04`."""
    return str(timedelta(seconds=int(waited.total_seconds())))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip()
