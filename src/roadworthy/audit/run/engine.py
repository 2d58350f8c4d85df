"""Ask every rule about every module that may matter, on all processors."""

import gc
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any, Final

from roadworthy.audit.fastapi.loop_entries import entered_by_the_loop
from roadworthy.audit.fastapi.routes import routes_of
from roadworthy.audit.fastapi.service import Service
from roadworthy.audit.fastapi.unmounted_files import is_stranded
from roadworthy.audit.model.finding import Confidence, Finding
from roadworthy.audit.model.result import OnProgress, Result, Skipped
from roadworthy.audit.model.rule import Hit, Rule
from roadworthy.audit.run.cache import key_of, load, store
from roadworthy.audit.source.codebase import Codebase
from roadworthy.audit.source.discovery import (
    is_excluded,
    is_test,
    may_matter,
    project_root,
    source_files,
)
from roadworthy.audit.source.module import Module
from roadworthy.audit.source.pins import service_root
from roadworthy.audit.source.unread import unread_files

__all__ = ["audit"]

_FEW: Final = 24
"""Modules that one process has read before another has started."""
_MOST_BYTES: Final = 6_000_000
"""Source that a process keeps parsed: some 50 times as much memory."""
_START: Final = "fork" if "fork" in get_all_start_methods() else "spawn"

_LEFT_BYTES: Final = 1_000_000
"""Source of a project that is kept parsed when another one begins, which rarely asks for it."""


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
    cache: Path | None = None,
    processes: int | None = None,
    progress: OnProgress | None = None,
    unsaved: Mapping[Path, bytes] | None = None,
) -> Result:
    """Return what rules find in the Python files under some paths.

    Files elsewhere in the same project are read where names lead to them, and nothing is
    imported. `root` is what paths in the result are relative to, where they are under it.
    `cache` is a folder for results, which are used again where no file has changed.
    `unsaved` is what an editor holds in place of files, by their resolved paths, which need
    not be there yet; nothing is cached then.
    """
    given = [path.resolve() for path in paths]
    home = project_root(given)
    named = unsaved or {}
    held = {path.relative_to(home).as_posix(): source for path, source in named.items()}
    sources = list(dict.fromkeys([*source_files(home), *held]))
    cache = None if held else cache
    question = [str(root.resolve()), *map(str, given), *exclude, *(rule.code for rule in rules)]
    unread = unread_files([path for path in given if path not in named], home)
    question += [one.path for one in unread]
    key = "" if cache is None else key_of(home, sources, question)
    known = None if cache is None else load(cache, key)
    if known is not None:
        return known
    files = [path for path in sources if path.endswith(".py")]
    asked = _once(home, [path for path in files if _is_asked(home, path, given, exclude)])
    project = _Project(home, files, rules, held)
    matter = _mattering(project, asked, given)
    part = _audited(project, matter, processes or os.cpu_count() or 1, progress)
    part.skipped |= {one.path: one for one in unread if not is_excluded(one.path, exclude)}
    result = _result(part, home=home, root=root.resolve(), asked=asked)
    if cache is not None:
        store(cache, key, result)
    return result


@dataclass(frozen=True, slots=True)
class _Project:
    """What every process gets."""

    home: Path
    files: Sequence[str]
    rules: Sequence[Rule]
    unsaved: Mapping[str, bytes]

    def codebase(self) -> Codebase:
        """Return its files, none of them parsed yet."""
        return Codebase(self.home, self.files, unsaved=self.unsaved)


def _once(home: Path, paths: Sequence[str]) -> list[str]:
    """Leave out the links to files that are there by another name."""
    seen: set[Path] = {home / path for path in paths if not (home / path).is_symlink()}
    left: list[str] = []
    for path in paths:
        file = home / path
        if file.is_symlink():
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
        left.append(path)
    return left


def _mattering(project: _Project, asked: Sequence[str], given: Sequence[Path]) -> list[str]:
    """Return the files that may hold something; one that is named is read in any case."""
    more = tuple({rule.sources for rule in project.rules} - {b""})
    home, named = project.home, set(given)
    return [path for path in asked if home / path in named or may_matter(_bytes(home / path), more)]


def _audited(
    project: _Project, matter: Sequence[str], processes: int, progress: OnProgress | None
) -> _Part:
    whole = _Part()
    for done, part in enumerate(_parts(project, matter, processes), 1):
        _merge(whole, part)
        if progress is not None:
            progress(done, len(matter))
    whole.findings += _of_services(project.home, whole, project.rules)
    return whole


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


def _parts(project: _Project, matter: Sequence[str], processes: int) -> Iterator[_Part]:
    if processes == 1 or len(matter) < _FEW:
        yield from _read(project.codebase(), matter, project.rules)
        return
    shares = list(_shares(matter, processes))
    context = get_context(_START)
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(project,)
    ) as pool:
        running = [pool.submit(_share, share) for share in shares]
        for one in as_completed(running):
            yield from one.result()


def _shares(matter: Sequence[str], processes: int) -> Iterator[Sequence[str]]:
    """Split files into runs: neighbours import the same modules, which are then parsed once."""
    size = -(-len(matter) // (processes * _SHARES))
    for start in range(0, len(matter), size):
        yield matter[start : start + size]


_SHARES: Final = 3
"""Runs of files for each process: who ends first takes another."""

_mine: list[tuple[Codebase, Sequence[Rule]]] = []
"""What a process of the pool works on. It ends without taking its trees apart."""


def _begin(project: _Project) -> None:
    gc.disable()  # syntax trees are many objects, and none of them is garbage
    _mine.append((project.codebase(), project.rules))


def _share(matter: Sequence[str]) -> list[_Part]:
    codebase, rules = _mine[0]
    return list(_read(codebase, matter, rules))


def _read(codebase: Codebase, matter: Sequence[str], rules: Sequence[Rule]) -> Iterator[_Part]:
    was = gc.isenabled()
    gc.disable()
    try:
        project = ""
        for path in matter:
            before, project = project, codebase.project(path)
            if codebase.size > (_MOST_BYTES if project == before else _LEFT_BYTES):
                codebase.forget()
            yield _of_module(codebase, path, rules)
        yield _Part(skipped=dict(codebase.skipped), parsed=set(codebase.parsed))
    finally:
        if was:
            gc.enable()


def _of_module(codebase: Codebase, path: str, rules: Sequence[Rule]) -> _Part:
    part = _Part()
    module = codebase.module(path)
    try:
        _ask(module, path, rules, part)
    except RecursionError:  # an expression of thousands of terms; others are still judged
        part.skipped[path] = Skipped(path, "its expressions are nested too deeply")
    return part


def _ask(module: Module | None, path: str, rules: Sequence[Rule], part: _Part) -> None:
    if module is None:
        return
    part.findings += _findings(module, rules, part)
    for rule in rules:
        found = rule.collect(module) if rule.collect is not None else None
        if found is not None:
            part.collected.append((rule.code, path, found))


def _findings(module: Module, rules: Sequence[Rule], part: _Part) -> Iterator[Finding]:
    routes = routes_of(module)
    part.routes[module.path] = len(routes)
    dependencies = {one.key: one for route in routes for one in route.dependencies}
    targets: dict[str, Sequence[Any]] = {
        "route": routes,
        "loop": entered_by_the_loop(module),
        "dependency": list(dependencies.values()),
        "function": module.functions,
        "module": [module],
    }
    for rule in rules:
        for target in targets.get(rule.looks, ()):
            yield from (_served(_finding(rule, hit), module) for hit in rule.check(target))


def _served(finding: Finding, module: Module) -> Finding:
    """Return a finding, and doubt one of routes that no application has."""
    return replace(finding, confidence=Confidence.LOW) if is_stranded(module) else finding


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
        since=hit.since,
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


def _result(part: _Part, *, home: Path, root: Path, asked: Sequence[str]) -> Result:
    best: dict[tuple[str, str, int, int], Finding] = {}
    for finding in part.findings:
        key = (finding.rule, finding.path, finding.line, finding.column)
        if key not in best or best[key].confidence.rank < finding.confidence.rank:
            best[key] = finding
    shown = [_relative(one, home, root) for one in best.values()]
    return Result(
        findings=tuple(sorted(shown, key=lambda one: (one.path, one.line, one.rule, one.column))),
        files=len(asked),
        paths=tuple(_shown(path, home, root) for path in asked),
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
