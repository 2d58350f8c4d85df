"""`roadworthy`: the command line, to write a service and to operate it.

    roadworthy new shop
    roadworthy audit
    roadworthy jobs dead

It needs nothing but what its words look at; that is loaded when the word is typed.
"""

import sys
from argparse import Action, ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final

from roadworthy.cli.parsing import Mistake, Parser
from roadworthy.cli.text import give_up_writing, tell, write

__all__ = ["main"]

_WORDS: Final = {
    "audit": ("roadworthy.cli.audit.command", "find mistakes in the code of a FastAPI service"),
    "explain": ("roadworthy.cli.explain", "say all that is known of a rule of the audit"),
    "jobs": ("roadworthy.cli.jobs.command", "look at background jobs, retry them, cancel them"),
    "new": ("roadworthy.cli.new.command", "write a service to begin with"),
}
"""The module of each word, which has `add_to(parser)`, and its help."""


_DOES: Final = "Begin a FastAPI service, find mistakes in one, and operate one built on Roadworthy."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code.

    It is 0; 1 where no job was found, something was not changed, or an audit found something;
    2 where the command, or what it was given, is at fault. One line on stderr then says what
    to type.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know ASCII only
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except Mistake as mistake:
        tell(str(mistake))
        return 2
    except BrokenPipeError:  # `roadworthy jobs list | head` has seen enough
        give_up_writing()
        return 0
    except KeyboardInterrupt:
        return 130


def _run(arguments: Sequence[str]) -> int:
    parser = _parser(arguments[:1])
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    chosen = parser.parse_args(arguments)
    code: int = chosen.run(chosen)
    sys.stdout.flush()
    return code


class _Version(Action):
    """Write the version; reading it takes longer than all the rest."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415

        write(version("roadworthy"))
        parser.exit()


def _parser(typed: Sequence[str]) -> Parser:
    """Return the parser, with all of the word that was typed and the help of the others."""
    parser = Parser(prog="roadworthy", description=_DOES)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    words = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for word, (module, does) in _WORDS.items():
        added = words.add_parser(word, help=does, description=f"{does.capitalize()}.")
        if word in typed:
            _load(module).add_to(added)
    return parser


def _load(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        raise Mistake(str(missing)) from missing
