"""A file with what was found before: only what is new is shown."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from roadworthy.audit.finding import Finding
from roadworthy.audit.refusal import CannotRun

__all__ = ["baseline_of", "new_since", "write_baseline"]

_VERSION: Final = 1


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


def baseline_of(file: Path) -> Counter[str]:
    """Return how often each fingerprint was found before.

    Raises:
        CannotRun: There is no such file, or it is none of ours.
    """
    again = f"Type: roadworthy audit --write-baseline {file}"
    try:
        said: Any = json.loads(file.read_text(encoding="utf-8"))
        return Counter({one["fingerprint"]: int(one["count"]) for one in said["findings"]})
    except FileNotFoundError:
        raise CannotRun(f"There is no baseline {file}. {again}") from None
    except OSError as error:
        raise CannotRun(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(f"{file} is no baseline. {again}") from error


def new_since(
    before: Counter[str], findings: Sequence[Finding], *, file: Path, root: Path
) -> list[Finding]:
    """Return what was not found before; of several that are alike, the last ones."""
    known = Counter(before)
    new: list[Finding] = []
    for finding in findings:
        mark = _fingerprint(file, finding, root)
        if known[mark] > 0:
            known[mark] -= 1
        else:
            new.append(finding)
    return new


def _fingerprint(file: Path, finding: Finding, root: Path) -> str:
    """Return a fingerprint that does not depend on where the audit was started."""
    return replace(finding, path=_from(file, finding.path, root)).fingerprint


def _from(file: Path, path: str, root: Path) -> str:
    return Path(os.path.relpath(root / path, file.resolve().parent)).as_posix()
