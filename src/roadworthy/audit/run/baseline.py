"""A file with what was found before: only what is new is shown."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.run.definitions import definitions_in

__all__ = ["Baseline", "baseline_of", "new_since", "write_baseline"]

_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class _Known:
    """Where something was found before, and what it is wherever it stands."""

    path: str
    where: str
    content: str
    """Empty in baselines of the first version, which do not know what has moved."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was found before: how often each fingerprint, and where."""

    counts: Counter[str]
    known: dict[str, _Known] = field(default_factory=dict[str, _Known])


def write_baseline(file: Path, findings: Sequence[Finding], *, root: Path) -> None:
    """Write what was found, in an order that does not change.

    Raises:
        CannotRun: The file cannot be written.
    """
    counted = Counter(_fingerprint(file, one, root) for one in findings)
    shown = {_fingerprint(file, one, root): one for one in findings}
    entries = [
        {
            "fingerprint": mark,
            "content": one.content,
            "rule": one.rule,
            "path": _from(file, one.path, root),
            "where": one.where,
            "count": counted[mark],
        }
        for mark, one in shown.items()
    ]
    entries.sort(key=lambda entry: (entry["path"], entry["rule"], entry["fingerprint"]))
    text = json.dumps({"version": _VERSION, "findings": entries}, indent=2)
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise CannotRun(f"{file} cannot be written: {error.strerror}") from error


def baseline_of(file: Path) -> Baseline:
    """Return what was found before.

    Raises:
        CannotRun: There is no such file, or it is none of ours.
    """
    again = f"Type: roadworthy audit --write-baseline {file}"
    try:
        said: Any = json.loads(file.read_text(encoding="utf-8"))
        counts = Counter({one["fingerprint"]: int(one["count"]) for one in said["findings"]})
        known = {one["fingerprint"]: _known(one) for one in said["findings"]}
        return Baseline(counts, known)
    except FileNotFoundError:
        raise CannotRun(f"There is no baseline {file}. {again}") from None
    except OSError as error:
        raise CannotRun(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(f"{file} is no baseline. {again}") from error


def _known(entry: dict[str, Any]) -> _Known:
    path, where = str(entry.get("path", "")), str(entry.get("where", ""))
    return _Known(path, where, str(entry.get("content", "")))


def new_since(
    before: Baseline, findings: Sequence[Finding], *, file: Path, root: Path
) -> list[Finding]:
    """Return what was not found before; of several that are alike, the last ones.

    What has moved to another file with its function is not new.
    """
    left = Counter(before.counts)
    new = [one for one in findings if not _taken(left, _fingerprint(file, one, root))]
    if not new:
        return new
    gone = _gone(before, +left, file.resolve().parent)
    return [one for one in new if not _taken(gone, one.content)]


def _taken(counts: Counter[str], mark: str) -> bool:
    """Return whether a mark is left in a count, and take one away."""
    found = counts[mark] > 0
    counts[mark] -= found
    return found


def _gone(before: Baseline, left: Counter[str], folder: Path) -> Counter[str]:
    """Return the content of what is found no more because its function is not there."""
    gone: Counter[str] = Counter()
    for mark, count in left.items():
        known = before.known[mark]
        if known.content and not _is_there(folder / known.path, known.where):
            gone[known.content] += count
    return gone


def _is_there(path: Path, where: str) -> bool:
    try:
        source = path.read_bytes()
    except OSError:
        return False
    return not where or any(one.name == where for one in definitions_in(source))


def _fingerprint(file: Path, finding: Finding, root: Path) -> str:
    """Return a fingerprint that does not depend on where the audit was started."""
    return replace(finding, path=_from(file, finding.path, root)).fingerprint


def _from(file: Path, path: str, root: Path) -> str:
    return Path(os.path.relpath(root / path, file.resolve().parent)).as_posix()
