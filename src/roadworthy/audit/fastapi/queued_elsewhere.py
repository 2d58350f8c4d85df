"""Work that another branch of the same function hands to a queue."""

import ast
from typing import Final

from roadworthy.audit.fastapi.background import Task
from roadworthy.audit.source.flow import Flow
from roadworthy.audit.source.nodes import last_name

__all__ = ["is_second_choice"]

_QUEUES: Final = frozenset(
    {"delay", "apply_async", "send_task", "enqueue", "enqueue_job", "kiq", "send_with_options"}
)
"""Methods that give work to the processes of Celery, RQ, arq, taskiq and dramatiq."""


def is_second_choice(task: Task) -> bool:
    """Return whether a task is added only where no queue is: `else` of `delay()`."""
    for block in task.reached.call.blocks("if", "else"):
        if isinstance(block.node, ast.If):
            other = block.node.orelse if block.kind == "if" else block.node.body
            calls = (one.node for one in Flow(other).calls)
            if any(_is_queued(call) for call in calls):
                return True
    return False


def _is_queued(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and last_name(call.func) in _QUEUES
