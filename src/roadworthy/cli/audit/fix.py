"""`roadworthy audit --fix`: fix findings, or show how to."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from difflib import unified_diff

from roadworthy.audit.fixes.mending import Mending, mended
from roadworthy.audit.report.summary import counted
from roadworthy.audit.run.inspection import Inspection, Options
from roadworthy.cli.text import tell

__all__ = ["fix"]


def fix(chosen: Namespace, wish: Options, inspection: Inspection) -> bool:
    """Mend what was found, and return whether files have changed."""
    mending = mended(wish, inspection, unsafe=chosen.unsafe)
    shown = chosen.diff is not None
    if shown:
        sys.stdout.writelines(_diff(mending))
    else:
        mending.write()
    for line in _said(mending, shown=shown):
        tell(line)
    return not shown


def _said(mending: Mending, *, shown: bool) -> Iterator[str]:
    for one in mending.refused:
        yield f"Not mended: {one.rule} {one.path}:{one.line}; a fix was tried and did not help."
    does = "would be mended" if shown else "mended"
    yield f"{len(mending.done)} {does} in {counted(len(mending.after), 'file')}."


def _diff(mending: Mending) -> Iterator[str]:
    for path in sorted(mending.after):
        before = _lines(mending.before[path])
        after = _lines(mending.after[path])
        for line in unified_diff(before, after, f"a/{path}", f"b/{path}"):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8", errors="replace").splitlines(keepends=True)
