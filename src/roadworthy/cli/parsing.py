"""The parser of commands: every mistake is one line that says what to type."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, NoReturn

__all__ = ["Mistake", "Parser", "count"]


class Mistake(Exception):
    """A command that cannot be carried out: its text says why, and what to type."""


class Parser(ArgumentParser):
    """Read a command; what it does not understand is a `Mistake`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong.

        Raises:
            Mistake: Always.
        """
        raise Mistake(f"{message}. Type: {self.prog} --help")


def count(text: str) -> int:
    """Read a number from 1.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)
