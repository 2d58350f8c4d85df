"""Which tasks are added to an answer, and whether somebody handles that they fail."""

import pytest

from roadworthy.audit.fastapi.background import first_unhandled, tasks

HEAD = """
import contextlib
import requests
from fastapi import BackgroundTasks
from starlette.background import BackgroundTask
from tenacity import retry
from shop import unknown

def send():
    requests.post("https://x", timeout=3)

def quiet(work):
    def run():
        try:
            work()
        except Exception:
            pass
    return run

def timed(work):
    def run():
        work()
    return run
"""


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        ("tasks: BackgroundTasks", "tasks.add_task(send)"),
        ("tasks: BackgroundTasks | None = None", "tasks.add_task(send)"),
        ("", "return BackgroundTask(send)"),
    ],
)
def test_a_task_is_known_by_its_type(codebase, parameter, line):
    module = codebase(f"{HEAD}\ndef f({parameter}):\n    {line}\n").module("app.py")

    [task] = tasks(module.functions[-1])

    assert task.function is not None
    assert task.function.name == "send"


def test_other_things_may_have_tasks_too(codebase):
    module = codebase(f"{HEAD}\ndef f(progress):\n    progress.add_task(send)\n").module("app.py")

    assert list(tasks(module.functions[-1])) == []


@pytest.mark.parametrize(
    ("work", "handled"),
    [
        ("def work():\n    send()", False),
        ("def work():\n    try:\n        send()\n    finally:\n        pass", False),
        ("def work():\n    try:\n        send()\n    except KeyError:\n        pass", False),
        ("def work():\n    try:\n        send()\n    except Exception:\n        raise", False),
        ("@timed\ndef work():\n    send()", False),
        ("def work():\n    try:\n        send()\n    except Exception:\n        pass", True),
        ("def work():\n    try:\n        send()\n    except:\n        pass", True),
        ("def work():\n    with contextlib.suppress(Exception):\n        send()", True),
        ("@quiet\ndef work():\n    send()", True),
        ("@retry\ndef work():\n    send()", True),
        ("@unknown\ndef work():\n    send()", True),
        ("def work():\n    print('sent')", True),
    ],
)
def test_a_failure_is_handled_in_the_task_or_around_it(codebase, work, handled):
    module = codebase(f"{HEAD}\n{work}\n").module("app.py")
    [task] = [one for one in module.functions if one.name == "work"]

    assert (first_unhandled(task) is None) is handled
