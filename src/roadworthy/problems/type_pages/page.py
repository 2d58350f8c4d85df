"""A page for each problem type: what the `type` of RFC 9457 §3.1.1 leads to."""

from collections.abc import Iterator
from html import escape
from http import HTTPStatus
from inspect import cleandoc
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from roadworthy.problems.problem import Problem
from roadworthy.problems.report import FIRST_ERROR
from roadworthy.problems.standard import NotFound
from roadworthy.problems.translate import report_status

__all__ = ["page"]

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$code</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto }
code { background: #8882; padding: .1em .3em; border-radius: .2em }
dt { font-weight: bold }
</style>
<h1>$title</h1>
<p>$meaning</p>
<dl>
<dt>Code</dt><dd><code>$code</code>, also in the header <code>X-Error-Code</code></dd>
<dt>HTTP status</dt><dd>$status</dd>
$members
</dl>
</html>
""")


async def page(request: Request) -> Response:
    """Answer with the page of one problem type, 404 for a code that nothing has."""
    code = request.path_params["code"]
    for problem in _subclasses(Problem):
        if problem.code == code:
            return _render(problem)
    for status in HTTPStatus:
        if status >= FIRST_ERROR and report_status(status).code == code:
            return _render_status(status)
    raise NotFound


def _subclasses(kind: type[Problem]) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def _render(problem: type[Problem]) -> Response:
    members = problem.member_types() if problem.details_type is None else {}
    names = ", ".join(f"<code>{escape(name)}</code>" for name in members)
    return HTMLResponse(
        _PAGE.substitute(
            code=escape(problem.code),
            title=escape(problem.title),
            meaning=escape(cleandoc(problem.__doc__ or problem.title)),
            status=problem.status,
            members=f"<dt>Details</dt><dd>{names}</dd>" if names else "",
        )
    )


def _render_status(status: HTTPStatus) -> Response:
    report = report_status(status)
    return HTMLResponse(
        _PAGE.substitute(
            code=escape(report.code),
            title=escape(report.title),
            meaning=escape(f"{status.description or status.phrase}."),
            status=int(status),
            members="",
        )
    )
