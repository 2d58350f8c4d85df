"""Routes that exist to say what is wrong: that something is, is their answer."""

import re
from typing import Final

from roadworthy.audit.fastapi.routes import Route

__all__ = ["reports", "tests"]

_TESTS: Final = r"valid\w*|verif\w*|check\w*|test|debug"
_REPORTS: Final = r"health\w*|ping|status|ready|live|exists|available|availability|probe|diagnos\w*"


def reports(route: Route) -> bool:
    """Return whether a route's answer is a verdict, of a test or on the service."""
    return _names(route, f"{_TESTS}|{_REPORTS}")


def tests(route: Route) -> bool:
    """Return whether a route tests what its client gave it, and says how that ended."""
    return _names(route, _TESTS) and not _names(route, r"health\w*")


def _names(route: Route, words: str) -> bool:
    named = f"{route.function.name} {route.path}".lower()
    return re.search(rf"(?<![a-z])({words})(?![a-z])", named) is not None
