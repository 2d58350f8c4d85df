"""Join what reading the code has found with what the running application has."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from roadworthy.audit.live.app import App, Served, Used
from roadworthy.audit.model.finding import Confidence, Finding
from roadworthy.audit.model.result import Result

__all__ = ["join"]

_CONTRACT: Final = (
    ("fastapi.exceptions.RequestValidationError",),
    ("starlette.exceptions.HTTPException",),
    ("builtins.Exception", "500"),
)
"""What an error contract needs handlers for."""


def join(result: Result, app: App, *, root: Path) -> Result:
    """Return the findings that the application bears out, with their routes.

    What it disproves is left out: uploads with a limit, dependencies that end before the
    answer, handlers that are registered. What it does not serve has low confidence.
    """
    joined = [one for finding in result.findings for one in _joined(finding, app, root)]
    return replace(
        result, findings=tuple(joined), notes=(*result.notes, *_notes(result, app, root))
    )


def _joined(finding: Finding, app: App, root: Path) -> Iterator[Finding]:
    file = str((root / finding.path).resolve())
    routes = _routes_of(finding, file, app, root)
    if _is_disproved(finding, file, routes, app):
        return
    if routes:
        titles = ", ".join(dict.fromkeys(route.title for route in routes[:3]))
        yield replace(finding, message=f"{titles}: {finding.message}")
    elif _is_of_a_route(finding) and not _is_served(finding, file, app):
        unserved = f"{app.target} does not serve this. {finding.message}"
        yield replace(finding, confidence=Confidence.LOW, message=unserved)
    else:
        yield finding


def _routes_of(finding: Finding, file: str, app: App, root: Path) -> list[Served]:
    """Return the routes whose function the finding, or the first step to it, stands in."""
    names = {(file, finding.where)}
    direct = [route for route in app.routes if (route.file, route.name) in names]
    if direct or not finding.flow:
        return direct
    first = finding.flow[0]
    start = str((root / first.path).resolve())
    before = [one for one in app.routes if one.file == start and one.line <= first.line]
    nearest = max((one.line for one in before), default=None)
    return [one for one in before if one.line == nearest]


def _is_disproved(finding: Finding, file: str, routes: list[Served], app: App) -> bool:
    match finding.name:
        case "unbounded-upload-read":
            return bool(routes) and all(route.max_body_size is not None for route in routes)
        case "commit-after-response":
            uses = list(_uses(finding, file, app))
            return bool(uses) and all(use.scope == "function" for use in uses)
        case "error-contract":
            return all(app.handlers.intersection(any_of) for any_of in _CONTRACT)
        case _:
            return False


def _uses(finding: Finding, file: str, app: App) -> Iterator[Used]:
    for route in app.routes:
        for use in route.dependencies:
            if (use.file, use.name) == (file, finding.where):
                yield use


def _is_of_a_route(finding: Finding) -> bool:
    return finding.rule[:3] in {"RW1", "RW5", "RW7"}


def _is_served(finding: Finding, file: str, app: App) -> bool:
    return any(_uses(finding, file, app)) or any(
        route.file == file and route.name.startswith(finding.where.partition(".")[0])
        for route in app.routes
    )


def _notes(result: Result, app: App, root: Path) -> Iterator[str]:
    own = [one for one in app.routes if Path(one.file).is_relative_to(root.resolve())]
    yield f"{app.target} answers {len(own)} routes of its own; {result.routes} were read."
    unknown = len(own) - result.routes
    if unknown > 0:
        yield f"At least {unknown} of them were not understood by reading, and not judged."
