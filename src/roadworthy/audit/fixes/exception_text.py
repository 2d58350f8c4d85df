"""Keep an exception's text out of the answer, and in the log."""

from http import HTTPStatus
from typing import Any, Final

from roadworthy.audit.fixes.tree import Change, Tree, cst, dotted, matchers, tree_of
from roadworthy.audit.model.finding import Finding

__all__ = ["fix"]

_LOGS: Final = ("exception", "error", "warning", "critical")
_ENDS: Final = " :;,.-("
_LOGGERS: Final = ("logger", "log", "LOGGER", "LOG", "_logger")


def fix(source: bytes, finding: Finding) -> Change | None:
    """Write a constant text for `detail=str(e)` or `f"…: {e}"`, and log what happened."""
    tree = tree_of(source)
    for raised in tree.within(cst.Raise, finding.line, finding.end_line):
        handler = tree.above(raised, cst.ExceptHandler)
        line = tree.above(raised, cst.SimpleStatementLine)
        if isinstance(raised.exc, cst.Call) and handler is not None and line is not None:
            return _fixed(tree, raised, handler, line)
    return None


def _fixed(
    tree: Tree, raised: cst.Raise, handler: cst.ExceptHandler, line: cst.SimpleStatementLine
) -> Change | None:
    call: Any = raised.exc
    name = _name(handler)
    argument = _detail(call)
    body = handler.body
    if argument is None or not name or not isinstance(body, cst.IndentedBlock):
        return None
    said = _said(argument.value, name, call)
    if said is None:
        return None
    new = call.with_deep_changes(argument, value=cst.SimpleString(_quoted(said)))
    caused: Any = raised.with_changes(exc=new, cause=raised.cause or _from(name))
    fixed: Any = line.deep_replace(raised, caused)
    if _is_logged(handler) or line not in body.body:
        return Change(tree, {line: fixed})
    statements = list(body.body)
    place = statements.index(line)
    logger = _logger(tree)
    statements[place : place + 1] = [_log(tree, logger, argument.value, said, raised), fixed]
    changed = handler.with_changes(body=body.with_changes(body=statements))
    return Change(tree, {handler: changed}, imports=() if logger else ("logging",))


def _name(handler: cst.ExceptHandler) -> str:
    return dotted(handler.name.name) if handler.name is not None else ""


def _from(name: str) -> cst.From:
    return cst.From(cst.Name(name))


def _detail(call: cst.Call) -> cst.Arg | None:
    """Return the argument that clients read: the second, or the one of that name."""
    for argument in call.args:
        if argument.keyword is not None and argument.keyword.value == "detail":
            return argument
    plain = [one for one in call.args if one.keyword is None and not one.star]
    return plain[1] if len(plain) > 1 else None


def _said(value: cst.BaseExpression, name: str, call: cst.Call) -> str | None:
    """Return what to say instead of an exception's text; None where it is something else."""
    if matchers.matches(value, _text_of(name)):
        return _phrase(call)
    if isinstance(value, cst.FormattedString):
        prefix = _prefix(value, name)
        return f"{prefix}." if prefix else None
    return None


def _text_of(name: str) -> matchers.Call:
    argument = matchers.Arg(value=matchers.Name(name), keyword=None)
    func = matchers.Name("str") | matchers.Name("repr")
    return matchers.Call(func=func, args=[argument])


def _prefix(text: cst.FormattedString, name: str) -> str:
    """Return the constant words before the exception that an f-string ends with."""
    if len(text.parts) != 2:  # noqa: PLR2004 - words, then the exception
        return ""
    words, last = text.parts
    shown = matchers.Name(name) | _text_of(name)
    ends = isinstance(last, cst.FormattedStringExpression) and matchers.matches(
        last.expression, shown
    )
    if not ends or not isinstance(words, cst.FormattedStringText) or "\\" in words.value:
        return ""
    return words.value.replace("{{", "{").replace("}}", "}").rstrip(_ENDS)


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text and "'" not in text else f'"{text.replace(chr(34), chr(39))}"'


def _phrase(call: cst.Call) -> str | None:
    """Return what a status means, where it is written as a number or a name with one."""
    named = [one.value for one in call.args if one.keyword and one.keyword.value == "status_code"]
    if not named and (not call.args or call.args[0].keyword is not None):
        return None
    status = named[0] if named else call.args[0].value
    digits = "".join(c for c in _text(status) if c.isdigit())
    try:
        return HTTPStatus(int(digits)).phrase
    except ValueError:
        return None


def _text(node: cst.BaseExpression) -> str:
    return node.value if isinstance(node, cst.Integer) else dotted(node)


def _is_logged(handler: cst.ExceptHandler) -> bool:
    logs = [matchers.Name(one) for one in _LOGS]
    call = matchers.Call(func=matchers.Attribute(attr=matchers.OneOf(*logs)))
    return bool(matchers.findall(handler.body, call))


def _logger(tree: Tree) -> str | None:
    for name in _LOGGERS:
        for target in tree.within(cst.AssignTarget, 1, 10**9):
            if dotted(target.target) == name and tree.above(target, cst.FunctionDef) is None:
                return name
    return None


def _log(
    tree: Tree, logger: str | None, value: cst.BaseExpression, said: str, raised: cst.Raise
) -> cst.BaseStatement:
    """Log what failed: the words of the text, or else the function."""
    function = tree.above(raised, cst.FunctionDef)
    failed = f"{function.name.value}() failed" if function is not None else said
    what = said.rstrip(".") if isinstance(value, cst.FormattedString) else failed
    start = logger or "logging.getLogger(__name__)"
    return cst.parse_statement(f"{start}.exception({_quoted(what)})")
