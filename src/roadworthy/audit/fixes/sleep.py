"""Sleep without stopping everybody else."""

import libcst as cst

from roadworthy.audit.finding import Finding
from roadworthy.audit.fixes.tree import Change, Tree, dotted

__all__ = ["mend"]


def mend(source: bytes, finding: Finding) -> Change | None:
    """Write `await asyncio.sleep(...)` for `time.sleep(...)`, in an `async def`."""
    tree = Tree(source)
    for call in tree.within(cst.Call, finding.line, finding.end_line):
        if _is_sleep(tree, call) and _may_await(tree, call):
            func = cst.Attribute(cst.Name("asyncio"), cst.Name("sleep"))
            awaited = cst.Await(call.with_changes(func=func, lpar=[], rpar=[]))
            mended = tree.replaced(call, awaited)
            return Change(mended, imports=("asyncio",), unused=("time",))
    return None


def _is_sleep(tree: Tree, call: cst.Call) -> bool:
    name = dotted(call.func)
    return name == "time.sleep" or (name != "" and name == tree.imported("time.sleep"))


def _may_await(tree: Tree, call: cst.Call) -> bool:
    function = tree.above(call, cst.FunctionDef)
    inner = tree.above(call, cst.Lambda)
    return function is not None and function.asynchronous is not None and inner is None
