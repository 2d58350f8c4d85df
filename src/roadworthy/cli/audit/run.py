"""Run the audit as the command line says, and write its reports."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from roadworthy.audit.model.finding import Confidence, Severity
from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.report import FORMATS
from roadworthy.audit.report.agent import Edits, agent
from roadworthy.audit.report.colours import colours_for
from roadworthy.audit.report.counts import statistics
from roadworthy.audit.report.groups import MOST, groups_of
from roadworthy.audit.report.markdown import markdown
from roadworthy.audit.report.summary import summary
from roadworthy.audit.report.text import text
from roadworthy.audit.run.baseline import write_baseline
from roadworthy.audit.run.configuration import Configuration, configuration_of
from roadworthy.audit.run.inspection import Inspection, Options, inspect, options_of
from roadworthy.cli.audit.unreadable import refuse_unread, unread
from roadworthy.cli.progress import Progress
from roadworthy.cli.text import tell, write

__all__ = ["run", "wish"]

Outputs: TypeAlias = Sequence[tuple[str, Path | None]]


def wish(chosen: Namespace, paths: Sequence[Path]) -> Options:
    """Return the options of the audit."""
    said = _configuration(chosen, paths)
    return replace(
        options_of(said, paths=paths, root=Path.cwd()),
        baseline=None if chosen.write_baseline else said.baseline,
        since=None if chosen.fix or chosen.diff is None else chosen.diff or "HEAD",
        app=chosen.app,
        cache=None if chosen.no_cache else _cache(),
    )


def _cache() -> Path:
    """Return a folder of the user's: nobody wants files in code that is only looked at."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "roadworthy"


def _configuration(chosen: Namespace, paths: Sequence[Path]) -> Configuration:
    """Return what `pyproject.toml` says, where the command line does not say otherwise."""
    said = configuration_of(paths)
    typed: dict[str, object] = {}
    for option in ("select", "ignore", "exclude"):
        if hasattr(chosen, option):
            typed[option] = _split(getattr(chosen, option))
    if "select" in typed:  # who types what to look for gets that
        typed.setdefault("ignore", ())
    if chosen.severity:
        typed["severity"] = Severity(chosen.severity)
    if chosen.confidence:
        typed["confidence"] = Confidence(chosen.confidence)
    if chosen.baseline:
        typed["baseline"] = Path(chosen.baseline)
    return replace(said, **typed)  # type: ignore[arg-type]


def _split(given: Sequence[str]) -> Sequence[str]:
    return tuple(word.strip() for words in given for word in words.split(",") if word.strip())


def run(chosen: Namespace, wished: Options, outputs: Outputs, progress: Progress) -> int:
    """Audit, say what was found, and return the exit code."""
    if chosen.checklist:
        return _checklist(wished, outputs, progress)
    inspection = inspect(wished, progress=progress)
    refuse_unread(inspection, wished)
    if chosen.fix:
        from roadworthy.cli.audit import fix  # noqa: PLC0415  # only this needs libcst

        if not fix.fix(chosen, wished, inspection):
            return _code(inspection, wished)
        inspection = inspect(wished, progress=progress)
    progress.clear()
    if chosen.write_baseline:
        return _write_baseline(Path(chosen.write_baseline), inspection)
    for name, file in outputs:
        _say(_report(name, file, inspection, chosen), file)
    if all(file is not None for _, file in outputs):
        tell(list(summary(inspection))[-1])
    return _code(inspection, wished)


def _code(inspection: Inspection, wished: Options) -> int:
    """Return the exit code: a file that was named and not read is no success."""
    return 2 if unread(inspection, wished) else 1 if inspection.findings else 0


def _checklist(wished: Options, outputs: Outputs, progress: Progress) -> int:
    from roadworthy.audit.report import checklist  # noqa: PLC0415
    from roadworthy.audit.run.census import CENSUS  # noqa: PLC0415

    forms = {"text": checklist.as_text, "json": checklist.as_json}
    for name, _ in outputs:
        if name not in forms:
            raise CannotRun("The checklist is text or json. Type: --checklist --format json")
    inspection = inspect(wished, progress=progress, also=CENSUS)
    progress.clear()
    for name, file in outputs:
        _say(forms[name](inspection), file)
    return 1 if any(one.answer == "fail" for one in checklist.answers(inspection)) else 0


def _write_baseline(file: Path, inspection: Inspection) -> int:
    write_baseline(file, inspection.findings, root=inspection.root)
    write(f"{file} has {len(inspection.findings)} findings. From now on: --baseline {file}")
    return 0


def _report(name: str, file: Path | None, inspection: Inspection, chosen: Namespace) -> str:
    most = None if chosen.all else chosen.limit or MOST
    if name == "agent":
        return _for_agents(inspection, chosen, most)
    if name == "markdown":
        return markdown(inspection, most=most)
    if name != "text":
        return FORMATS[name](inspection)
    if chosen.statistics:
        return statistics(inspection)
    return text(inspection, colours=None if file else colours_for(sys.stdout), most=most)


def _for_agents(inspection: Inspection, chosen: Namespace, most: int | None) -> str:
    return agent(inspection, most=most, edits=_edits(inspection, most), paths=chosen.paths)


def _edits(inspection: Inspection, most: int | None) -> Edits:
    """Return how what is shown can be fixed; nothing without libcst."""
    from roadworthy.audit.fixes.edits import edits_of  # noqa: PLC0415  # few ask for it

    shown = [one for group in groups_of(inspection) for one in group.places(most)]
    try:
        return {id(one): edits_of(one, root=inspection.root) for one in shown if one.fixable}
    except CannotRun:
        return {}


def _say(report: str, file: Path | None) -> None:
    if file is None:
        if report:
            write(report)
        return
    try:
        file.write_text(f"{report}\n", encoding="utf-8")
    except OSError as error:
        raise CannotRun(f"{file} cannot be written: {error.strerror}") from error
