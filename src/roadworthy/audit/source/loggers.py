"""Logs: which objects and methods of them write lines that only operators read."""

import ast
from typing import Final

from roadworthy.audit.source import names
from roadworthy.audit.source.annotations import definition
from roadworthy.audit.source.module import Scope
from roadworthy.audit.source.nodes import last_name

__all__ = ["is_log"]

_LIBRARIES: Final = frozenset({"logging", "loguru", "structlog", "logbook", "logfire", "eliot"})
_NAMES: Final = frozenset(
    {"log", "logger", "_log", "_logger", "logging", "LOG", "LOGGER", "syslog"}
)
"""What loggers are called; it counts where nothing says what they are."""


def is_log(node: ast.expr, scope: Scope) -> bool:
    """Return whether an expression is a logger, or a module of a logging library."""
    ref = names.resolve(node, scope)
    if ref is not None:
        root = ref.name.partition(".")[0]
        return root in _LIBRARIES or (ref.entity is None and ref.name.endswith(".Logger"))
    if isinstance(node, ast.Call):  # `logger.bind(...)`, `get_logger()`
        func = node.func
        return isinstance(func, ast.Attribute) and is_log(func.value, scope)
    if last_name(node) not in _NAMES:
        return False
    made = definition(node, scope)
    value = None if made is None else made[0].value
    return value is None or not isinstance(value, ast.Constant)
