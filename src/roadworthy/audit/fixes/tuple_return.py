"""Answer with the status that `return body, 404` was meant to have."""

from roadworthy.audit.fixes.tree import Change, Tree, cst, tree_of
from roadworthy.audit.model.finding import Finding

__all__ = ["fix"]

_ANSWERS = ("fastapi.responses.JSONResponse", "starlette.responses.JSONResponse")
_ENCODERS = ("fastapi.encoders.jsonable_encoder",)
_PLAIN = (cst.Integer, cst.Float, cst.SimpleString)
_PARTS = ("content", "status_code", "headers")


def fix(source: bytes, finding: Finding) -> Change | None:
    """Return a `JSONResponse` of the parts of the tuple."""
    tree = tree_of(source)
    for statement in tree.within(cst.Return, finding.line, finding.end_line):
        value = statement.value
        if isinstance(value, cst.Tuple) and len(value.elements) in {2, 3}:
            return _answered(tree, value, [element.value for element in value.elements])
    return None


def _answered(tree: Tree, value: cst.Tuple, parts: list[cst.BaseExpression]) -> Change:
    plain = _is_plain(parts[0])
    code = [tree.module.code_for_node(part) for part in parts]
    encoder = "" if plain else tree.imported(*_ENCODERS) or "jsonable_encoder"
    answer = tree.imported(*_ANSWERS) or "JSONResponse"
    content = code[0] if plain else f"{encoder}({code[0]})"
    named = ", ".join(f"{name}={one}" for name, one in zip(_PARTS[1:], code[1:], strict=False))
    made = cst.parse_expression(f"{answer}({content}, {named})")
    imports = [] if tree.imported(*_ANSWERS) else [_ANSWERS[0]]
    imports += [] if plain or tree.imported(*_ENCODERS) else [_ENCODERS[0]]
    return Change(tree, {value: made}, imports=tuple(imports))


def _is_plain(node: cst.BaseExpression) -> bool:
    """Return whether a value is JSON as it stands in the code."""
    if isinstance(node, cst.Dict):
        return all(
            isinstance(one, cst.DictElement) and _is_plain(one.key) and _is_plain(one.value)
            for one in node.elements
        )
    if isinstance(node, cst.List):
        return all(isinstance(one, cst.Element) and _is_plain(one.value) for one in node.elements)
    if isinstance(node, cst.FormattedString):
        return True
    return isinstance(node, _PLAIN) or (
        isinstance(node, cst.Name) and node.value in {"True", "False", "None"}
    )
