"""Sleep without stopping everybody else."""

from roadworthy.audit.fixes.tree import Change, Tree, cst, dotted, tree_of
from roadworthy.audit.model.finding import Finding

__all__ = ["fix"]


def fix(source: bytes, finding: Finding) -> Change | None:
    """Write `await asyncio.sleep(...)` for `time.sleep(...)`, in an `async def`."""
    tree = tree_of(source)
    for call in tree.within(cst.Call, finding.line, finding.end_line):
        if _is_sleep(tree, call) and _may_await(tree, call):
            func = cst.Attribute(cst.Name("asyncio"), cst.Name("sleep"))
            awaited = cst.Await(call.with_changes(func=func, lpar=[], rpar=[]))
            return Change(tree, {call: awaited}, imports=("asyncio",), unused=("time",))
    return None


def _is_sleep(tree: Tree, call: cst.Call) -> bool:
    name = dotted(call.func)
    owner, _, last = name.rpartition(".")
    if owner:
        return last == "sleep" and owner in {"time", tree.imported_as("time")}
    return name != "" and name == tree.imported("time.sleep")


def _may_await(tree: Tree, call: cst.Call) -> bool:
    function = tree.above(call, cst.FunctionDef)
    inner = tree.above(call, cst.Lambda)
    return function is not None and function.asynchronous is not None and inner is None
