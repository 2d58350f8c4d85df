"""Public means listed in `__all__`, typed and documented."""

import ast
from collections.abc import Iterator

import pytest

from support.source import load, public_module_names, source_of, tree_of

FIRST_LINE = 90  # characters
MODULES = public_module_names()

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(name: str) -> Iterator[tuple[str, ast.stmt]]:
    """Yield what a module defines at its top level, with its name."""
    for node in tree_of(source_of(name)).body:
        match node:
            case ast.FunctionDef(decorator_list=[ast.Name(id="overload")]):
                continue  # the function itself follows, with the words for all of them
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node
            case (
                ast.Assign(targets=[ast.Name(id=target)])
                | ast.AnnAssign(target=ast.Name(id=target))
            ):
                yield target, node


def public_functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield a module's public functions and its public classes' public methods."""
    for _, node in definitions(name):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and is_public(node.name):
            members = node.body if isinstance(node, ast.ClassDef) else [node]
            for member in members:
                if isinstance(member, FUNCTIONS) and is_public(member.name):
                    yield member


def is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__init__"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_lists_what_it_offers(name):
    listed = set(load(name).__all__)
    defined = {
        found
        for found, node in definitions(name)
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and is_public(found)
    }

    assert defined - listed == set(), "public by its name and not in __all__"
    assert {found for found in listed if not hasattr(load(name), found)} == set()


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_is_typed(name):
    untyped = [
        function.name
        for function in public_functions(name)
        if (function.returns is None) or any(a.annotation is None for a in arguments(function))
    ]

    assert untyped == []


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_documented(name):
    listed = load(name).__all__
    bare = [
        found
        for found, node in definitions(name)
        if found in listed and not found.startswith("__") and not documentation(name, node)
    ]

    assert bare == []


@pytest.mark.parametrize("name", MODULES)
def test_the_first_line_of_a_docstring_is_a_short_sentence(name):
    documented: list[Documented] = [tree_of(source_of(name)), *public_functions(name)]
    documented += [node for _, node in definitions(name) if isinstance(node, ast.ClassDef)]
    first_lines = [(ast.get_docstring(node) or ".").splitlines()[0] for node in documented]

    assert [line for line in first_lines if len(line) > FIRST_LINE] == []
    assert [line for line in first_lines if not line.endswith(".")] == []


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    named = function.args
    every = [*named.posonlyargs, *named.args, *named.kwonlyargs]
    return [argument for argument in every if argument.arg not in {"self", "cls"}]


def documentation(name: str, node: ast.stmt) -> str:
    """Return a definition's docstring, or for a value the string that stands after it."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return ast.get_docstring(node) or ""
    body = tree_of(source_of(name)).body
    after = body[body.index(node) + 1 : body.index(node) + 2]
    match after:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return text
    return ""
