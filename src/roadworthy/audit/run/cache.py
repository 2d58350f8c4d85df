"""Results of earlier audits, by the contents of everything that they rest on."""

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from roadworthy.audit.model.finding import Confidence, Finding, Severity, Step
from roadworthy.audit.model.result import Result, Skipped

__all__ = ["key_of", "load", "store"]

_KEPT: Final = 16
"""Results; older ones are deleted."""


def key_of(home: Path, files: Iterable[str], asked: Sequence[str]) -> str:
    """Return what changes when a file does, or what is asked, or this package."""
    digest = hashlib.sha256()
    for part in (version("roadworthy"), sys.version, str(home), _this_package(), *asked):
        digest.update(part.encode() + b"\0")
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + _digest(home / path))
    return digest.hexdigest()


def _this_package() -> str:
    """Return what changes when rules do, for those who write them."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return ",".join(f"{file.name}:{file.stat().st_size}:{_digest(file).hex()}" for file in files)


def _digest(path: Path) -> bytes:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        return b"unreadable"


def load(folder: Path, key: str) -> Result | None:
    """Return the result that was stored under a key, or None."""
    try:
        content: dict[str, Any] = json.loads((folder / f"{key}.json").read_text())
        return _result(content)
    except (OSError, ValueError, KeyError, TypeError):  # of another version, or cut off
        return None


def store(folder: Path, key: str, result: Result) -> None:
    """Keep a result, and the newest others; give up where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        unfinished = folder / f"{key}.tmp"
        unfinished.write_text(json.dumps(asdict(result)))
        unfinished.replace(folder / f"{key}.json")
        by_age = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for old in by_age[:-_KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return


def _result(content: dict[str, Any]) -> Result:
    findings = tuple(_finding(one) for one in content.pop("findings"))
    skipped = tuple(Skipped(**one) for one in content.pop("skipped"))
    notes, paths = tuple(content.pop("notes")), tuple(content.pop("paths"))
    return Result(findings=findings, skipped=skipped, notes=notes, paths=paths, **content)


def _finding(content: dict[str, Any]) -> Finding:
    flow = tuple(Step(**step) for step in content.pop("flow"))
    severity = Severity(content.pop("severity"))
    confidence = Confidence(content.pop("confidence"))
    return Finding(flow=flow, severity=severity, confidence=confidence, **content)
