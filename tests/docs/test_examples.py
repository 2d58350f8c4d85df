"""Every example that a user could copy runs as it stands."""

import doctest
import sys
from types import ModuleType

import pytest

from support.pages import Example, examples, pages
from support.source import load, module_names


@pytest.mark.parametrize("example", [e for page in pages() for e in examples(page)], ids=str)
def test_an_example_runs_and_prints_what_the_page_says(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    run(example, monkeypatch)

    if example.prints is not None:
        assert capsys.readouterr().out == example.prints


@pytest.mark.parametrize("name", module_names())
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(load(name), optionflags=doctest.ELLIPSIS).failed == 0


def run(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the source as a module, because Pydantic and FastAPI look names up in theirs."""
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    code = compile(example.source, str(example.blocks[-1].page), "exec", dont_inherit=True)
    exec(code, vars(module))
