"""Which findings can be fixed, as far as their code tells."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.model.finding import Finding
from roadworthy.audit.source.nodes import last_name, walk

__all__ = ["KNOWN", "Known", "fixable"]


@dataclass(frozen=True, slots=True)
class Known:
    """A fix: the module that does it, and which findings it may be for."""

    module: str
    safe: bool
    """Whether nothing else changes than what the finding says."""
    fits: Callable[[Finding], bool]


def _always(_: Finding) -> bool:
    return True


def _says_so(finding: Finding) -> bool:
    return finding.fixable


def _code(finding: Finding) -> ast.AST | None:
    """Return the code of a finding as syntax; None where it is cut off."""
    try:
        body = ast.parse(finding.code).body
    except SyntaxError:
        return None
    return body[0] if body else None


def _sleeps(finding: Finding) -> bool:
    match _code(finding):
        case ast.Expr(value=ast.Call(func=ast.Name(id="sleep") | ast.Attribute(attr="sleep"))):
            return True
        case _:
            return False


def _dumps(finding: Finding) -> bool:
    """Return whether one call dumps the body; of two, it is not known which one to change."""
    code = _code(finding)
    dumps = [
        node
        for node in walk(code or ast.Pass())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"model_dump", "dict"}
        and all(one.arg != "exclude_unset" for one in node.keywords)
    ]
    return finding.fixable and len(dumps) == 1


def _tells(finding: Finding) -> bool:
    """Return whether it is `raise HTTPException(500, str(e))`, or a text that ends with `e`."""
    match _code(finding):
        case ast.Raise(exc=ast.Call() as call):
            named = [one.value for one in call.keywords if one.arg == "detail"]
            given = named or call.args[1:2]
            return bool(given) and _is_text(given[0], call)
        case _:
            return False


def _is_text(value: ast.expr, call: ast.Call) -> bool:
    match value:
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name()]):
            return _has_status(call)
        case ast.JoinedStr(
            values=[ast.Constant(value=str() as words), ast.FormattedValue(value=last)]
        ):
            shown = isinstance(last, ast.Name) or _is_text(last, call)
            return shown and bool(words.rstrip(" :;,.-(")) and words.isprintable()
        case _:
            return False


def _has_status(call: ast.Call) -> bool:
    named = [one.value for one in call.keywords if one.arg == "status_code"]
    status = (named or call.args[:1] or [ast.Constant(None)])[0]
    if isinstance(status, ast.Constant):
        return isinstance(status.value, int)
    return any(map(str.isdigit, last_name(status)))  # `status.HTTP_404_NOT_FOUND`


KNOWN: Final[Mapping[str, Known]] = {
    "broad-except-eats-http-exception": Known("broad_except", safe=True, fits=_always),
    "tuple-status-return": Known("tuple_return", safe=True, fits=_always),
    "patch-null-overwrite": Known("whole_dump", safe=True, fits=_dumps),
    "blocking-call-in-async-route": Known("sleep", safe=True, fits=_sleeps),
    "exception-text-to-client": Known("exception_text", safe=True, fits=_tells),
    "commit-after-response": Known("function_scope", safe=False, fits=_says_so),
}
"""The fix for each rule, by its name."""


def fixable(finding: Finding) -> bool:
    """Return whether a fix may fix a finding; if it does not, it is taken back."""
    known = KNOWN.get(finding.name)
    return known is not None and known.fits(finding)
