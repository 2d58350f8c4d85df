"""What import-linter cannot see: private names, and patterns that know each other."""

import ast
import sys
from pathlib import Path

import pytest

from support.source import imports, module_names, source_of, tree_of

HOSTS = ("fastapi", "starlette")
PATTERNS = ("database", "patching", "conditional", "idempotency", "jobs", "uploads")
MODULES = module_names()


def private_names(path: Path) -> set[str]:
    """Name what a file takes from FastAPI and Starlette that starts with an underscore."""
    imported = [(module, name) for module, name in imports(path) if module.startswith(HOSTS)]
    found = {f"{module}.{name}" for module, name in imported if f".{module}.{name}".count("._")}
    aliases = {name for _, name in imported}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            if private and node.value.id in aliases | set(HOSTS):
                found.add(f"{node.value.id}.{node.attr}")
    return found


def pattern_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "roadworthy" and parts[1:2] and parts[1] in PATTERNS else None


@pytest.mark.parametrize("name", [name for name in MODULES if name != "roadworthy._fastapi"])
def test_only_the_adapter_touches_what_the_hosts_keep_private(name):
    assert private_names(source_of(name)) == set()


def test_the_adapter_is_where_private_names_are_found():
    """The test above can fail."""
    assert private_names(source_of("roadworthy._fastapi")) != set()


@pytest.mark.parametrize("name", [name for name in MODULES if pattern_of(name)])
def test_patterns_never_import_each_other(name):
    whole = {f"{module}.{taken}" for module, taken in imports(source_of(name))}

    assert {pattern_of(module) for module in whole} <= {None, pattern_of(name)}


@pytest.mark.parametrize("name", [name for name in MODULES if "._internal" in name])
def test_internal_modules_use_the_standard_library_only(name):
    roots = {module.partition(".")[0] for module, _ in imports(source_of(name))}

    assert roots <= sys.stdlib_module_names | {"roadworthy"}
