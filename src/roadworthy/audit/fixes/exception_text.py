"""Keep an exception's text out of the answer, and in the log."""

from http import HTTPStatus
from typing import Any

import libcst as cst

from roadworthy.audit.finding import Finding
from roadworthy.audit.fixes.tree import Change, Tree, dotted

__all__ = ["mend"]

_LOGS = {"exception", "error", "warning", "critical"}


def mend(source: bytes, finding: Finding) -> Change | None:
    """Write the status's own phrase for `detail=str(e)`, and log what happened."""
    tree = Tree(source)
    for raised in tree.within(cst.Raise, finding.line - 3, finding.end_line):
        call = raised.exc
        argument = _argument(call) if isinstance(call, cst.Call) else None
        line = tree.above(raised, cst.SimpleStatementLine)
        if isinstance(call, cst.Call) and argument is not None and line is not None:
            return _mended(tree, call, argument, line)
    return None


def _argument(call: cst.Call) -> cst.Arg | None:
    for argument in call.args:
        match argument:
            case cst.Arg(keyword=cst.Name(value="detail"), value=cst.Call(func=cst.Name("str"))):
                return argument
            case _:
                continue
    return None


def _mended(
    tree: Tree, call: cst.Call, argument: cst.Arg, line: cst.SimpleStatementLine
) -> Change | None:
    handler = tree.above(line, cst.ExceptHandler)
    phrase = _phrase(call)
    if handler is None or phrase is None or not isinstance(handler.body, cst.IndentedBlock):
        return None
    constant = argument.with_changes(value=cst.SimpleString(f'"{phrase}"'))
    mended: Any = line.deep_replace(argument, constant)
    if _is_logged(handler) or line not in handler.body.body:
        return Change(tree.replaced(line, mended))
    statements = list(handler.body.body)
    place = statements.index(line)
    statements[place : place + 1] = [_log(tree, phrase), mended]
    body = handler.body.with_changes(body=statements)
    text = tree.replaced(handler, handler.with_changes(body=body))
    return Change(text, imports=() if _logger(tree) else ("logging",))


def _phrase(call: cst.Call) -> str | None:
    """Return what a status means, where it is written as a number or a name with one."""
    named = [one.value for one in call.args if one.keyword and one.keyword.value == "status_code"]
    status = named[0] if named else call.args[0].value
    digits = "".join(c for c in _text(status) if c.isdigit())
    try:
        return HTTPStatus(int(digits)).phrase
    except ValueError:
        return None


def _text(node: cst.BaseExpression) -> str:
    return node.value if isinstance(node, cst.Integer) else dotted(node)


def _is_logged(handler: cst.ExceptHandler) -> bool:
    code = cst.Module([]).code_for_node(handler.body)
    return any(f".{name}(" in code for name in _LOGS)


def _logger(tree: Tree) -> str | None:
    for name in ("logger", "log", "LOGGER", "LOG", "_logger"):
        for target in tree.within(cst.AssignTarget, 1, 10**9):
            if dotted(target.target) == name and tree.above(target, cst.FunctionDef) is None:
                return name
    return None


def _log(tree: Tree, phrase: str) -> cst.BaseStatement:
    logger = _logger(tree) or "logging.getLogger(__name__)"
    return cst.parse_statement(f'{logger}.exception("{phrase}")')
