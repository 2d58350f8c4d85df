"""No module of the library imports itself by way of others: each can be read from the bottom up.

Imports for type checkers and inside functions count: they are what a reader follows, too.
Which rooms of a package may import which is in `pyproject.toml`, for import-linter.
"""

from functools import cache

from support.source import imports, module_names, source_of

STILL_IN_A_CIRCLE = ("roadworthy.audit.source.", "roadworthy.health.")
"""Packages whose circles are not taken apart yet. Take from this list; add nothing."""
MODULES = module_names()


@cache
def imported_by(name: str) -> frozenset[str]:
    """Name the modules of the library that a module imports, wherever in its file."""
    taken = imports(source_of(name))
    found = (
        f"{module}.{part}" if f"{module}.{part}" in MODULES else module for module, part in taken
    )
    return frozenset(found) & set(MODULES)


def reached_from(name: str) -> set[str]:
    """Name all that a module imports, and what that imports, and so on."""
    reached, todo = set[str](), set(imported_by(name))
    while todo:
        reached |= todo
        todo = {further for each in todo for further in imported_by(each)} - reached
    return reached


def test_no_module_imports_itself_by_way_of_others():
    circles = [name for name in MODULES if name in reached_from(name)]

    assert [name for name in circles if not name.startswith(STILL_IN_A_CIRCLE)] == []


def test_a_circle_would_be_found(monkeypatch):
    """The test above can fail."""
    edges = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"})}
    monkeypatch.setitem(globals(), "imported_by", edges.__getitem__)

    assert [name for name in edges if name in reached_from(name)] == ["b", "c"]


def test_imports_for_type_checkers_and_inside_functions_count(tmp_path):
    source = tmp_path / "module.py"
    source.write_text(
        "if TYPE_CHECKING:\n    from one import A\ndef late():\n    from two import B\n"
    )

    assert {module for module, _ in imports(source)} == {"one", "two"}
