"""The audit's files: no circle between them, and no rule that knows half of the house.

That nothing looks upwards is a contract of import-linter (`audit-tower` in pyproject.toml).
"""

from collections.abc import Iterator

import pytest

from support.source import imports, module_names, source_of

AUDIT = "roadworthy.audit"
MODULES = [name for name in module_names() if name.startswith(f"{AUDIT}.")]
RULES = [name for name in MODULES if name.startswith(f"{AUDIT}.rules.rw")]
MOST = 10
"""Modules of ours that one rule may import."""


def imported(name: str) -> set[str]:
    """Return the files of the audit that one imports, those for type checkers included."""
    named = imports(source_of(name))
    found = (
        whole if (whole := f"{module}.{part}") in MODULES else module for module, part in named
    )
    return {one for one in found if one in MODULES and one != name}


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield the files that are left when all that lead nowhere else are taken away."""
    left = {name: set(to) for name, to in graph.items()}
    while ends := {name for name, to in left.items() if not to}:
        left = {name: to - ends for name, to in left.items() if name not in ends}
    if left:
        yield sorted(left)


def test_no_files_import_each_other_in_a_circle():
    assert list(circles({name: imported(name) for name in MODULES})) == []


def test_a_circle_is_seen():
    """The test above can fail."""
    graph = {"one": {"two"}, "two": {"three"}, "three": {"two"}, "four": set()}

    assert list(circles(graph)) == [["one", "three", "two"]]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_reads_alone(name):
    assert len(imported(name)) <= MOST, sorted(imported(name))


def test_rules_are_found():
    assert len(RULES) > MOST
