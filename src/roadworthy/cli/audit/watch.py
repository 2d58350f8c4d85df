"""`roadworthy audit --watch`: audit again whenever a file of the project changes."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import sleep
from typing import Final

from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.source.discovery import project_root, source_files
from roadworthy.cli.text import tell

__all__ = ["watch"]

_PAUSE: Final = 0.5
"""Seconds between two looks at the files."""


def watch(chosen: Namespace, paths: Sequence[Path], audit: Callable[[], int]) -> int:
    """Audit now and after each change, until Ctrl-C; return the last exit code.

    Raises:
        CannotRun: It was asked for together with what is done once.
    """
    for option in ("fix", "write_baseline"):
        if getattr(chosen, option):
            raise CannotRun(f"--{option.replace('_', '-')} is done once: leave --watch out.")
    home = project_root([path.resolve() for path in paths])
    code = 0
    try:
        while True:
            seen = _stamps(home)
            code = _once(audit)
            tell(f"Watching {home}. Ctrl-C ends it.")
            while _stamps(home) == seen:
                sleep(_PAUSE)
    except KeyboardInterrupt:
        return code


def _once(audit: Callable[[], int]) -> int:
    """Audit; what cannot be read now may be fixed in a moment, and is only told."""
    try:
        return audit()
    except CannotRun as error:
        tell(str(error))
        return 2


def _stamps(home: Path) -> Mapping[str, tuple[int, int]]:
    """Return when each file was written last, and how large it is."""
    found: dict[str, tuple[int, int]] = {}
    for path in source_files(home):
        try:
            now = (home / path).stat()
        except OSError:  # it was there a moment ago
            continue
        found[path] = (now.st_mtime_ns, now.st_size)
    return found
