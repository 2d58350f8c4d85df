"""`roadworthy audit`: find mistakes in a FastAPI service, without importing it."""

import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from roadworthy.audit.model.refusal import CannotRun
from roadworthy.cli import explain
from roadworthy.cli.audit.stdin import typed
from roadworthy.cli.audit.watch import watch
from roadworthy.cli.parsing import Mistake, count
from roadworthy.cli.progress import Progress

__all__ = ["add_to"]

_FORMATS: Final = ("text", "json", "sarif", "github", "markdown", "agent")
_LEVELS: Final = ("low", "medium", "high")
_EXITS: Final = "Exit code: 0 nothing was found, 1 something was, 2 the audit could not run."


def add_to(parser: ArgumentParser) -> None:
    """Add the options to the parser of `roadworthy audit`."""
    parser.epilog = _EXITS
    parser.add_argument("paths", metavar="PATH", nargs="*", help="folders and files (.)")
    parser.set_defaults(run=_run)
    _add_choices(parser)
    _add_stdin(parser)
    _add_reports(parser)
    _add_changes(parser)


def _add_choices(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what is looked for")
    rules = "rules, by code, beginning of a code, or name: RW201,RW5,unbounded-upload-read"
    _add_words(group.add_argument, "--select", rules, "only these ")
    _add_words(group.add_argument, "--ignore", rules, "not these ")
    group.add_argument("--severity", choices=_LEVELS, help="the least that is shown (low)")
    says = "the least that is shown (medium)"
    group.add_argument("--confidence", choices=_LEVELS, help=says)
    _add_words(group.add_argument, "--exclude", "paths that match, such as 'scripts/*'", "not ")
    says = "import this application, to know what only run time knows"
    group.add_argument("--app", metavar="MODULE:APP", help=says)
    says = "read everything again, though no file has changed"
    group.add_argument("--no-cache", action="store_true", help=says)


def _add_stdin(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("for editors")
    says = "audit what is typed, in place of a file, with the project around it"
    group.add_argument("--stdin", action="store_true", help=says)
    says = "with --stdin: which file it is; it need not be there (stdin.py)"
    group.add_argument("--stdin-filename", metavar="FILE", type=Path, help=says)


def _add_words(add: Callable[..., object], option: str, says: str, how: str) -> None:
    add(option, metavar="WORDS", action="append", default=SUPPRESS, help=f"{how}{says}")


def _add_reports(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what is said")
    says = f"{', '.join(_FORMATS)}; may be given again, the others with a file"
    group.add_argument("--format", metavar="NAME[=FILE]", action="append", default=[], help=says)
    says = "every place; else ten of each rule are shown, and the others counted"
    group.add_argument("--all", action="store_true", help=says)
    says = "places of each rule that readers and agents are shown (10)"
    group.add_argument("--limit", metavar="NUMBER", type=count, help=says)
    group.add_argument("--statistics", action="store_true", help="counts by rule")
    says = "audit again whenever a file changes, until Ctrl-C"
    group.add_argument("--watch", action="store_true", help=says)
    group.add_argument("--checklist", action="store_true", help="eight questions and answers")
    group.add_argument("--explain", metavar="RULE", help="all that is known of a rule")


def _add_changes(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what is new, and what is fixed")
    says = "only in lines changed since a revision of Git (HEAD); with --fix, see there"
    group.add_argument("--diff", metavar="REV", nargs="?", const="", help=says)
    group.add_argument("--baseline", metavar="FILE", help="only what this file does not have")
    group.add_argument("--write-baseline", metavar="FILE", help="write what is found there")
    says = "fix what can be fixed safely; with --diff, show how and write nothing"
    group.add_argument("--fix", action="store_true", help=says)
    says = "with --fix: also what may change more than the mistake"
    group.add_argument("--unsafe", action="store_true", help=says)


def _run(chosen: Namespace) -> int:
    try:
        return explain.explain(chosen.explain) if chosen.explain else _audit(chosen)
    except CannotRun as error:
        raise Mistake(str(error)) from error


def _audit(chosen: Namespace) -> int:
    from roadworthy.cli.audit import run  # noqa: PLC0415  # what --help and --explain do not need

    _take_back_a_path(chosen)
    unsaved = typed(chosen)
    paths = list(unsaved) or _paths(chosen.paths)
    outputs = _outputs(chosen.format)
    wished = replace(run.wish(chosen, paths), unsaved=unsaved)

    def audit() -> int:
        with Progress(sys.stderr) as progress:
            return run.run(chosen, wished, outputs, progress)

    return watch(chosen, paths, audit) if chosen.watch else audit()


def _take_back_a_path(chosen: Namespace) -> None:
    """Take what follows `--diff` for a path where `--fix` is given: it needs no revision."""
    if chosen.fix and chosen.diff:
        chosen.paths.insert(0, chosen.diff)
        chosen.diff = ""
    if chosen.unsafe and not chosen.fix:
        raise CannotRun("--unsafe goes with --fix. Type: roadworthy audit --fix --unsafe")


def _paths(typed: Sequence[str]) -> Sequence[Path]:
    paths = [Path(one) for one in typed or ["."]]
    for path in paths:
        if not path.exists():
            raise CannotRun(f"There is nothing at {path}. Type a folder or a file that is there.")
    return paths


def _outputs(given: Sequence[str]) -> Sequence[tuple[str, Path | None]]:
    outputs: list[tuple[str, Path | None]] = []
    for one in given or ["text"]:
        name, _, file = one.partition("=")
        if name not in _FORMATS:
            raise CannotRun(f"There is no format {name!r}. Type one of {', '.join(_FORMATS)}.")
        outputs.append((name, Path(file) if file else None))
    if [file for _, file in outputs].count(None) > 1:
        names = [name for name, file in outputs if file is None]
        raise CannotRun(f"Only one format goes to the terminal. Type: --format {names[-1]}=FILE")
    return outputs
