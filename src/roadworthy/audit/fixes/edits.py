"""What a fix would change, as edits of lines, for who applies them by hand."""

# pyright: reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.run.fixable import KNOWN, fixable

__all__ = ["edits_of"]


def edits_of(finding: Finding, *, root: Path) -> Sequence[Mapping[str, Any]]:
    """Return the edits that fix a finding in its file; none without such a fix.

    Each has the lines from `line` to `end_line` as `old`, and what to write there as `new`.
    """
    known = KNOWN.get(finding.name)
    if known is None or not fixable(finding):
        return ()
    module: Any = import_module(f"roadworthy.audit.fixes.{known.module}")
    try:
        source = (root / finding.path).read_bytes()
        change: Any = _change(module, source, finding)
    except (OSError, import_module("roadworthy.audit.fixes.tree").Unreadable):
        return ()
    return () if change is None else list(_edits(finding.path, source, change.finished()))


def _change(module: Any, source: bytes, finding: Finding) -> Any:
    if hasattr(module, "fix_all"):
        return (module.fix_all({finding.path: source}, finding) or {}).get(finding.path)
    return module.fix(source, finding)


def _edits(path: str, before: bytes, after: bytes) -> list[Mapping[str, Any]]:
    old, new = (text.decode(errors="replace").splitlines(keepends=True) for text in (before, after))
    found: list[Mapping[str, Any]] = []
    for kind, first, last, start, end in difflib.SequenceMatcher(a=old, b=new).get_opcodes():
        if kind == "equal":
            continue
        more = int(first == last and last < len(old))  # an insertion is shown with the next line
        found.append(
            {
                "path": path,
                "line": first + 1,
                "end_line": last + more,
                "old": "".join(old[first : last + more]),
                "new": "".join(new[start : end + more]),
            }
        )
    return found
