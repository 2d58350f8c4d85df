"""What starts work is known in one place, and who runs apart from requests by its uses."""

import ast

import pytest

from roadworthy.audit.analyses.detached import is_unused
from roadworthy.audit.dataflow.starters import STARTERS
from roadworthy.audit.dataflow.values import follow
from support.source import module_names, source_of, tree_of

TABLE = "roadworthy.audit.dataflow.starters"
MODULES = [name for name in module_names() if name.startswith("roadworthy.audit")]


def texts(name: str) -> set[str]:
    nodes = ast.walk(tree_of(source_of(name)))
    return {str(one.value) for one in nodes if isinstance(one, ast.Constant)}


def test_no_other_module_names_what_starts_work():
    assert [
        one for one in MODULES if one != TABLE and not STARTERS.keys().isdisjoint(texts(one))
    ] == []


def test_the_table_is_where_those_names_are_found():
    """The test above can fail."""
    assert texts(TABLE) >= STARTERS.keys()


def function_of(codebase, name: str, text: str):
    return next(one for one in codebase(text).module("app.py").functions if one.name == name)


UNUSED = {
    "alone": "def work():\n    pass\n",
    "a docstring": 'def work():\n    """Let work() run."""\n',
    "a string": 'def work():\n    pass\n\nTEXT = "work"\n',
    "a comment": "def work():\n    pass  # work\n",
    "a docstring elsewhere": 'def work():\n    pass\n# file: other.py\n"""Never calls work()."""\n',
    "a string elsewhere": "def work():\n    pass\n# file: other.py\nprint('it does work')\n",
    "a comment elsewhere": "def work():\n    pass\n# file: other.py\nx = 1  # work\n",
    "a test": "def work():\n    pass\n# file: tests/test_app.py\nfrom app import work\nwork()\n",
}
USED = {
    "a call": "def work():\n    pass\n\nwork()\n",
    "its value": "def work():\n    pass\n\nRUN = [work]\n",
    "an import": "def work():\n    pass\n# file: other.py\nfrom app import work\n",
    "a call by name": "def work():\n    pass\n# file: other.py\nrun('app:work', 1)\n",
    "an attribute": "def work():\n    pass\n# file: other.py\nimport app\nrun(app.work)\n",
}


@pytest.mark.parametrize("how", UNUSED)
def test_a_name_in_a_text_is_no_use_of_a_function(codebase, how):
    assert is_unused(function_of(codebase, "work", f"# file: app.py\n{UNUSED[how]}"))


@pytest.mark.parametrize("how", USED)
def test_a_name_in_code_is_a_use_of_a_function(codebase, how):
    assert not is_unused(function_of(codebase, "work", f"# file: app.py\n{USED[how]}"))


CHAIN = """
# file: app.py
from asyncio import get_running_loop, to_thread
from fastapi import BackgroundTasks
from starlette.concurrency import run_in_threadpool

async def start(file, tasks: BackgroundTasks, pool):
    {call}

def work(given, size=0):
    def inner():
        return given
    work(given)
    return inner
"""
CALLS = [
    "work(file)",
    "await to_thread(work, file)",
    "await run_in_threadpool(work, given=file)",
    "await get_running_loop().run_in_executor(None, work, file)",
    "pool.submit(work, file)",
    "tasks.add_task(work, file, size=1)",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_value_is_followed_to_what_a_call_lets_others_run(codebase, call):
    start = function_of(codebase, "start", CHAIN.format(call=call))

    frames = list(follow(start, {"file"}))

    assert [one.function.name for one in frames] == ["start", "work", "inner"]
    assert [len(one.chain) for one in frames] == [0, 1, 1]


def test_a_value_in_a_circle_of_functions_is_followed_once(codebase):
    text = "# file: app.py\n" + "".join(
        f"def f{at}(a, b):\n    f{(at + 1) % 3}(b, a)\n    f{(at + 2) % 3}(a, b)\n"
        for at in range(3)
    )

    frames = list(follow(function_of(codebase, "f0", text), {"a"}, hops=50))

    assert len(frames) == len({(one.function, one.names) for one in frames}) == 6


REPOSITORIES = """
# file: one/pyproject.toml
# file: one/app.py
def work():
    pass
# file: two/pyproject.toml
# file: two/app.py
work()
"""


def test_a_name_in_another_project_is_no_use_of_a_function(codebase):
    one = codebase(REPOSITORIES).module("one/app.py").functions[0]

    assert is_unused(one)


def test_packages_of_one_project_know_each_other(codebase):
    one = codebase(f"# file: pyproject.toml\n{REPOSITORIES}").module("one/app.py").functions[0]

    assert not is_unused(one)
