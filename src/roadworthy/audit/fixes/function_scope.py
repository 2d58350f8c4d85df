"""Let a dependency end, and commit, before the answer is sent."""

from pathlib import Path
from typing import Final

from roadworthy.audit.fixes.tree import Change, Tree, cst, dotted, tree_of, with_argument
from roadworthy.audit.model.finding import Finding

__all__ = ["fix_all"]

_SCOPE: Final = "scope"


def fix_all(sources: dict[str, bytes], finding: Finding) -> dict[str, Change] | None:
    """Add `scope="function"` to every `Depends` of the dependency, in all files.

    In all of them, because a request that uses both scopes gets the dependency twice.
    Nothing is changed where they have it already.
    """
    changed: dict[str, Change] = {}
    name = finding.where.rpartition(".")[2]
    for path, source in sources.items():
        if name.encode() not in source or b"Depends(" not in source:
            continue
        nodes = _fixed(source, name, is_home=path == finding.path, home=finding.path)
        if nodes is None:
            return None
        if nodes:
            changed[path] = Change(tree_of(source), nodes)
    return changed


def _fixed(
    source: bytes, name: str, *, is_home: bool, home: str
) -> dict[cst.CSTNode, cst.CSTNode] | None:
    """Return the uses in a file, changed, or None where one of them must not be."""
    tree = tree_of(source)
    calls = tree.within(cst.Call, 1, 10**9)
    uses = [one for one in calls if _is_use(tree, one, name, is_home=is_home, home=home)]
    if any(_stands_in_a_generator(tree, one) for one in uses):
        return None  # it would have to end earlier, too
    return {one: with_argument(one, _SCOPE, '"function"') for one in uses}


def _is_use(tree: Tree, call: cst.Call, name: str, *, is_home: bool, home: str) -> bool:
    if dotted(call.func).rpartition(".")[2] != "Depends" or not call.args:
        return False
    if any(one.keyword is not None and one.keyword.value == _SCOPE for one in call.args):
        return False
    used = dotted(call.args[0].value)
    if is_home:
        return used == name
    if "." in used:
        return used.rpartition(".")[2] == name
    return used in _local_names(tree, name, _modules(home))


def _modules(path: str) -> set[str]:
    """Return the last parts of the names that a file may be imported by."""
    parts = list(Path(path).with_suffix("").parts)
    return {parts[-1]} if parts[-1] != "__init__" else {parts[-2]} if len(parts) > 1 else {""}


def _local_names(tree: Tree, name: str, modules: set[str]) -> set[str]:
    found: set[str] = set()
    for statement in tree.within(cst.ImportFrom, 1, 10**9):
        if isinstance(statement.names, cst.ImportStar):
            found.add(name)
            continue
        source = dotted(statement.module).rpartition(".")[2] if statement.module else ""
        for alias in statement.names:
            if dotted(alias.name) == name and (source in modules or not source):
                found.add(dotted(alias.asname.name) if alias.asname else name)
    return found


def _stands_in_a_generator(tree: Tree, call: cst.Call) -> bool:
    function = tree.above(call, cst.FunctionDef)
    if function is None:
        return False
    inside = tree.module.code_for_node(function.body)
    return "yield" in inside
