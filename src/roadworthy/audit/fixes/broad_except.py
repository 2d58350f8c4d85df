"""Let an `HTTPException` through before `except Exception` takes it."""

from roadworthy.audit.fixes.tree import Change, cst, tree_of
from roadworthy.audit.model.finding import Finding

__all__ = ["fix"]

_NAMES = (
    "starlette.exceptions.HTTPException",
    "fastapi.HTTPException",
    "fastapi.exceptions.HTTPException",
)


def fix(source: bytes, finding: Finding) -> Change | None:
    """Put `except HTTPException: raise` in front of the handler."""
    tree = tree_of(source)
    handler = tree.at(cst.ExceptHandler, finding.line, finding.column)
    tried = tree.above(handler, cst.Try) if handler is not None else None
    if handler is None or tried is None:
        return None
    name = tree.imported(*_NAMES)
    handlers = list(tried.handlers)
    handlers.insert(handlers.index(handler), _letting_through(name or "HTTPException"))
    changed = {tried: tried.with_changes(handlers=handlers)}
    return Change(tree, changed, imports=() if name else ("fastapi.HTTPException",))


def _letting_through(name: str) -> cst.ExceptHandler:
    body = cst.IndentedBlock([cst.SimpleStatementLine([cst.Raise()])])
    return cst.ExceptHandler(type=cst.Name(name), body=body)
