"""`roadworthy audit --stdin`: audit a file as an editor holds it, unsaved."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from roadworthy.audit.model.refusal import CannotRun

__all__ = ["typed"]

_NAME: Final = Path("stdin.py")
_NOT_WITH: Final = ("paths", "fix", "diff", "write_baseline", "watch", "app")


def typed(chosen: Namespace) -> dict[Path, bytes]:
    """Return the text on standard input, by the file that it is of.

    Without `--stdin` there is none.

    Raises:
        CannotRun: It was asked for together with what needs files.
    """
    if not chosen.stdin:
        if chosen.stdin_filename is not None:
            raise CannotRun(f"Type: --stdin --stdin-filename {chosen.stdin_filename}")
        return {}
    for option in _NOT_WITH:
        if getattr(chosen, option) not in (None, False, []):
            raise CannotRun(_refusal(option))
    file = (chosen.stdin_filename or _NAME).resolve()
    if file.suffix != ".py" or file.is_dir():
        raise CannotRun(f"{file.name} is no Python file. Type: --stdin-filename FILE.py")
    return {file: sys.stdin.buffer.read()}


def _refusal(option: str) -> str:
    if option == "paths":
        return "--stdin is one file: leave the paths out, and type --stdin-filename FILE."
    return f"--{option.replace('_', '-')} needs files, and --stdin has none: leave one of them out."
