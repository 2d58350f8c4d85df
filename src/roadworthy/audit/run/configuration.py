"""What `[tool.roadworthy.audit]` of a `pyproject.toml` says."""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.refusal import CannotRun

__all__ = ["Configuration", "configuration_of"]

Reader: TypeAlias = Callable[[str, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a project wants of its audits; the command line says otherwise."""

    folder: Path
    """Where the `pyproject.toml` is: `baseline` and `per_file_ignores` start there."""
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    severity: Severity = Severity.LOW
    """The least that is shown."""
    confidence: Confidence = Confidence.MEDIUM
    """The least that is shown."""
    exclude: Sequence[str] = ()
    baseline: Path | None = None
    per_file_ignores: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Words that name rules, by the pattern of the paths where they are not asked."""


def configuration_of(paths: Sequence[Path]) -> Configuration:
    """Return what the nearest `pyproject.toml` above some paths says.

    Raises:
        CannotRun: It says something that is not understood.
    """
    start = _above(paths)
    for folder in (start, *start.parents):
        said = _table(folder / "pyproject.toml")
        if said is not None:
            return _read(folder, said)
        if (folder / ".git").exists():  # what is above is somebody else's
            break
    return Configuration(folder=start)


def _above(paths: Sequence[Path]) -> Path:
    common = Path(os.path.commonpath([path.resolve() for path in paths]))
    return common if common.is_dir() else common.parent


def _table(file: Path) -> Any:
    if not file.is_file():
        return None
    try:
        said: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotRun(f"{file} is not TOML: {error}") from error
    for name in ("tool", "roadworthy", "audit"):
        said = _mapping(said).get(name)
    return said


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _read(folder: Path, said: Any) -> Configuration:
    where = folder / "pyproject.toml"
    if not isinstance(said, dict):
        raise CannotRun(f"{where}: [tool.roadworthy.audit] must be a table")
    taken: dict[str, Any] = {}
    for key, value in _mapping(said).items():
        if key not in _KEYS:
            raise CannotRun(f"{where}: [tool.roadworthy.audit] has no key {key!r}. {_KNOWN}")
        taken[key.replace("-", "_")] = _KEYS[key](f"{where}: {key}", value)
    read = Configuration(folder=folder, **taken)
    return replace(read, baseline=folder / read.baseline) if read.baseline else read


def _words(where: str, value: Any) -> Sequence[str]:
    words: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
    if all(isinstance(one, str) for one in words):
        return tuple(str(one) for one in words)
    raise CannotRun(f'{where} must be a list of strings, such as ["RW201"]')


def _words_by_path(where: str, value: Any) -> Mapping[str, Sequence[str]]:
    if isinstance(value, dict):
        return {path: _words(f"{where} {path!r}", one) for path, one in _mapping(value).items()}
    raise CannotRun(f'{where} must be a table, such as {{"scripts/*" = ["RW201"]}}')


def _path(where: str, value: Any) -> Path:
    if isinstance(value, str) and value:
        return Path(value)
    raise CannotRun(f"{where} must be the path of a file")


def _severity(where: str, value: Any) -> Severity:
    if value in list(Severity):
        return Severity(value)
    raise CannotRun(f"{where} must be one of {', '.join(Severity)}")


def _confidence(where: str, value: Any) -> Confidence:
    if value in list(Confidence):
        return Confidence(value)
    raise CannotRun(f"{where} must be one of {', '.join(Confidence)}")


_KEYS: Final[Mapping[str, Reader]] = {
    "select": _words,
    "ignore": _words,
    "severity": _severity,
    "confidence": _confidence,
    "exclude": _words,
    "baseline": _path,
    "per-file-ignores": _words_by_path,
}
_KNOWN: Final = f"It takes {', '.join(_KEYS)}."
