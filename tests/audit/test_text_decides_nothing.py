"""The audit's own source: what code is written like is shown, and never decides."""

import ast

import pytest

from support.source import module_names, source_of, tree_of

MODULES = [name for name in module_names() if name.startswith("roadworthy.audit")]
WRITTEN = ("roadworthy.audit.source.nodes", "roadworthy.audit.fixes.imports")
"""What makes text of a node: for messages, and to put an import between others as they stand."""
SHOWS = ast.FormattedValue | ast.keyword | ast.IfExp | ast.BinOp | ast.Return | ast.Subscript
ASSIGNS = ast.Assign
"""What may hold that text: it goes on into a message."""


def calls(tree: ast.Module, name: str) -> list[tuple[ast.Call, ast.AST]]:
    return [
        (child, parent)
        for parent in ast.walk(tree)
        for child in ast.iter_child_nodes(parent)
        if isinstance(child, ast.Call)
        and name in {getattr(child.func, "id", ""), getattr(child.func, "attr", "")}
    ]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in WRITTEN])
def test_no_module_makes_text_of_code_except_for_messages(name):
    tree = tree_of(source_of(name))

    assert calls(tree, "unparse") + calls(tree, "dump") + calls(tree, "get_source_segment") == []


@pytest.mark.parametrize("name", MODULES)
def test_text_made_of_code_is_put_into_messages_and_not_compared(name):
    used = calls(tree_of(source_of(name)), "written")

    assert [
        ast.unparse(call) for call, parent in used if not isinstance(parent, SHOWS | ASSIGNS)
    ] == []
