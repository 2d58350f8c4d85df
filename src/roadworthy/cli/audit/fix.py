"""`roadworthy audit --fix`: fix findings, or show how to."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from difflib import unified_diff

from roadworthy.audit.fixes.fixing import Fixing, fixed
from roadworthy.audit.report.summary import counted
from roadworthy.audit.run.inspection import Inspection, Options
from roadworthy.cli.text import tell

__all__ = ["fix"]


def fix(chosen: Namespace, wish: Options, inspection: Inspection) -> bool:
    """Fix what was found, and return whether files have changed."""
    fixing = fixed(wish, inspection, unsafe=chosen.unsafe)
    shown = chosen.diff is not None
    if shown:
        sys.stdout.writelines(_diff(fixing))
    else:
        fixing.write()
    for line in _said(fixing, shown=shown):
        tell(line)
    return not shown


def _said(fixing: Fixing, *, shown: bool) -> Iterator[str]:
    for one in fixing.refused:
        yield f"Not fixed: {one.rule} {one.path}:{one.line}; a fix was tried and did not help."
    does = "would be fixed" if shown else "fixed"
    yield f"{len(fixing.done)} {does} in {counted(len(fixing.after), 'file')}."


def _diff(fixing: Fixing) -> Iterator[str]:
    for path in sorted(fixing.after):
        before = _lines(fixing.before[path])
        after = _lines(fixing.after[path])
        for line in unified_diff(before, after, f"a/{path}", f"b/{path}"):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8", errors="replace").splitlines(keepends=True)
