"""Write only what a PATCH has sent."""

from roadworthy.audit.fixes.tree import Change, cst, tree_of, with_argument
from roadworthy.audit.model.finding import Finding

__all__ = ["fix"]

_ONLY_SENT = "exclude_unset"


def fix(source: bytes, finding: Finding) -> Change | None:
    """Add `exclude_unset=True` to the one call that dumps the body."""
    tree = tree_of(source)
    calls = tree.within(cst.Call, finding.line, finding.end_line)
    dumps = [call for call in calls if _is_dump(call)]
    if len(dumps) != 1:
        return None
    return Change(tree, {dumps[0]: with_argument(dumps[0], _ONLY_SENT, "True")})


def _is_dump(call: cst.Call) -> bool:
    match call.func:
        case cst.Attribute(attr=cst.Name(value="model_dump" | "dict")):
            return all(one.keyword is None or one.keyword.value != _ONLY_SENT for one in call.args)
        case _:
            return False
