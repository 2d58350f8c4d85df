"""Every example that a user could copy runs as it stands."""

import doctest
import logging
import sys
from types import CodeType, ModuleType

import pytest
from opentelemetry.metrics import _internal as metrics
from opentelemetry.util._once import Once

from roadworthy import _metric_instruments
from support.pages import Block, examples, pages
from support.source import load, module_names


@pytest.fixture(autouse=True)
def _meters_of_its_own(monkeypatch):
    """A process has one provider of meters, which tells of what ran in it before."""
    monkeypatch.setattr(metrics, "_METER_PROVIDER", None)
    monkeypatch.setattr(metrics, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(_metric_instruments, "made", {})


@pytest.fixture(autouse=True)
def _logging_of_its_own():
    """What an example configures is for its own process: its stream is closed afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("example", [e for page in pages() for e in examples(page)], ids=str)
def test_an_example_runs_and_prints_what_the_page_says(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # Pydantic and FastAPI look names up in the module that a class was made in.
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)

    for block in example.blocks:
        capsys.readouterr()
        exec(compiled(block), vars(module))

    if example.prints is not None:
        assert capsys.readouterr().out == example.prints


@pytest.mark.parametrize("name", module_names())
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(load(name), optionflags=doctest.ELLIPSIS).failed == 0


def compiled(block: Block) -> CodeType:
    """Compile a block at its line, so that tracebacks point into the page."""
    source = "\n" * block.line + block.text
    return compile(source, str(block.page), "exec", dont_inherit=True)
