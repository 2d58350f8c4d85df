"""Ask every rule about every module that may matter, on as many processors as there are."""

import gc
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from roadworthy.audit import names
from roadworthy.audit.codebase import Codebase
from roadworthy.audit.discovery import (
    is_excluded,
    is_test,
    may_matter,
    project_root,
    python_files,
)
from roadworthy.audit.finding import Finding
from roadworthy.audit.module import Module
from roadworthy.audit.pins import service_root
from roadworthy.audit.result import Result, Skipped
from roadworthy.audit.routes import routes_in
from roadworthy.audit.rule import Hit, Rule
from roadworthy.audit.service import Service

__all__ = ["audit"]

_FEW: Final = 24
"""Modules that one process has read before another has started."""
_MOST_BYTES: Final = 6_000_000
"""Source that a process keeps parsed: some 50 times as much memory."""

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class _Part:
    """What a process says of some modules."""

    findings: list[Finding] = field(default_factory=list[Finding])
    routes: dict[str, int] = field(default_factory=dict[str, int])
    collected: list[tuple[str, str, object]] = field(default_factory=list[tuple[str, str, object]])
    skipped: dict[str, Skipped] = field(default_factory=dict[str, Skipped])
    parsed: set[str] = field(default_factory=set[str])


def audit(
    paths: Sequence[Path],
    *,
    root: Path,
    rules: Sequence[Rule],
    exclude: Sequence[str] = (),
    processes: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Return what rules find in the Python files under some paths.

    Files elsewhere in the same project are read where names lead to them, and nothing is
    imported. `root` is what paths in the result are relative to, where they are under it.
    """
    given = [path.resolve() for path in paths]
    home = project_root(given)
    files = list(python_files(home))
    asked = [path for path in files if _is_asked(home, path, given, exclude)]
    matter = [path for path in asked if may_matter(_bytes(home / path))]
    part = _Part()
    for done, one in enumerate(_parts(home, files, matter, rules, processes), 1):
        _merge(part, one)
        if progress is not None:
            progress(done, len(matter))
    part.findings += _of_services(home, part, rules)
    return _result(part, home=home, root=root.resolve(), files=len(asked))


def _is_asked(home: Path, path: str, given: Sequence[Path], exclude: Sequence[str]) -> bool:
    here = home / path
    if here in given:
        return True
    under = next((one for one in given if here.is_relative_to(one)), None)
    if under is None or is_excluded(path, exclude):
        return False
    return not is_test(here.relative_to(under).as_posix())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b"fastapi"  # the codebase says why it cannot be read


def _parts(
    home: Path,
    files: Sequence[str],
    matter: Sequence[str],
    rules: Sequence[Rule],
    processes: int | None,
) -> Iterator[_Part]:
    wanted = processes or os.cpu_count() or 1
    if wanted == 1 or len(matter) < _FEW:
        yield from _here(home, files, matter, rules)
        return
    shares = [matter[number::wanted] for number in range(wanted)]
    with ProcessPoolExecutor(wanted, mp_context=get_context("fork")) as pool:
        running = [pool.submit(_share, home, files, share, rules) for share in shares]
        for one in as_completed(running):
            yield from one.result()


def _share(
    home: Path, files: Sequence[str], matter: Sequence[str], rules: Sequence[Rule]
) -> list[_Part]:
    return list(_here(home, files, matter, rules))


def _here(
    home: Path, files: Sequence[str], matter: Sequence[str], rules: Sequence[Rule]
) -> Iterator[_Part]:
    was = gc.isenabled()
    gc.disable()  # syntax trees are many objects, and none of them is garbage yet
    try:
        codebase = Codebase(home, files)
        for path in matter:
            if codebase.size > _MOST_BYTES:
                codebase.forget()
                names.forget()
                gc.collect()
            yield _of_module(codebase, path, rules)
    finally:
        names.forget()
        if was:
            gc.enable()


def _of_module(codebase: Codebase, path: str, rules: Sequence[Rule]) -> _Part:
    part = _Part()
    module = codebase.module(path)
    if module is not None:
        part.findings += _findings(module, rules, part)
        for rule in rules:
            found = rule.collect(module) if rule.collect is not None else None
            if found is not None:
                part.collected.append((rule.code, path, found))
    part.skipped |= codebase.skipped
    part.parsed |= codebase.parsed
    return part


def _findings(module: Module, rules: Sequence[Rule], part: _Part) -> Iterator[Finding]:
    routes = list(routes_in(module))
    part.routes[module.path] = len(routes)
    dependencies = {one.key: one for route in routes for one in route.dependencies}
    targets: dict[str, Sequence[Any]] = {
        "route": routes,
        "dependency": list(dependencies.values()),
        "function": module.functions,
        "module": [module],
    }
    for rule in rules:
        for target in targets.get(rule.looks, ()):
            yield from (_finding(rule, hit) for hit in rule.check(target))


def _finding(rule: Rule, hit: Hit) -> Finding:
    place = hit.place
    return Finding(
        rule=rule.code,
        name=rule.name,
        path=place.path,
        line=place.line,
        column=place.column,
        end_line=place.end_line,
        severity=rule.severity,
        confidence=hit.confidence,
        message=hit.message,
        mend=rule.mend,
        fixable=hit.fixable,
        flow=hit.flow,
        where=place.where,
        code=place.code,
    )


def _of_services(home: Path, part: _Part, rules: Sequence[Rule]) -> Iterator[Finding]:
    asking = [rule for rule in rules if rule.looks == "service"]
    if not asking:
        return
    for service in _services(home, part):
        for rule in asking:
            yield from (_finding(rule, hit) for hit in rule.check(service))


def _services(home: Path, part: _Part) -> list[Service]:
    routes: dict[str, int] = defaultdict(int)
    collected: dict[str, dict[str, list[tuple[str, object]]]] = defaultdict(dict)
    for path, number in part.routes.items():
        routes[service_root(home, path)] += number
    for code, path, found in part.collected:
        collected[service_root(home, path)].setdefault(code, []).append((path, found))
    return [Service(home, folder, routes[folder], collected[folder]) for folder in sorted(routes)]


def _merge(whole: _Part, part: _Part) -> None:
    whole.findings += part.findings
    whole.routes |= part.routes
    whole.collected += part.collected
    whole.skipped |= part.skipped
    whole.parsed |= part.parsed


def _result(part: _Part, *, home: Path, root: Path, files: int) -> Result:
    best: dict[tuple[str, str, int, int], Finding] = {}
    for finding in part.findings:
        key = (finding.rule, finding.path, finding.line, finding.column)
        if key not in best or best[key].confidence.rank < finding.confidence.rank:
            best[key] = finding
    shown = [_relative(one, home, root) for one in best.values()]
    return Result(
        findings=tuple(sorted(shown, key=lambda one: (one.path, one.line, one.rule, one.column))),
        files=files,
        parsed=len(part.parsed),
        routes=sum(part.routes.values()),
        skipped=tuple(
            replace(one, path=_shown(one.path, home, root)) for one in part.skipped.values()
        ),
    )


def _relative(finding: Finding, home: Path, root: Path) -> Finding:
    flow = tuple(replace(step, path=_shown(step.path, home, root)) for step in finding.flow)
    return replace(finding, path=_shown(finding.path, home, root), flow=flow)


def _shown(path: str, home: Path, root: Path) -> str:
    whole = home / path
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix()
