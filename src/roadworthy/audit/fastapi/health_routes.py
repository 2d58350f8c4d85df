"""Health routes by their whole path: what a balancer or an orchestrator asks."""

import ast
import re
from collections.abc import Iterable
from typing import Final

from roadworthy.audit.fastapi import mounts
from roadworthy.audit.fastapi.dependencies import Need
from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function

__all__ = ["is_health"]

_HEALTH: Final = frozenset(
    {
        *("health", "healthz", "healthcheck", "healthchecks", "livez", "liveness", "readyz"),
        *("readiness", "heartbeat", "lbheartbeat", "startupz"),
    }
)
_STATE: Final = frozenset({"live", "ready", "alive", "healthy"})
"""Words that other things have, too: `/matches/live`, `/orders/ready`."""
_BESIDE: Final = frozenset(
    {
        *("check", "checks", "status", "probe", "probes", "api", "app", "service", "server", "is"),
        *("db", "database", "full", "deep", "detailed", "details", "simple", "basic", "system"),
        *("info", "report", "summary", "all"),
    }
)
"""Words that may stand beside one of health in a segment: `health-check`, `db_health`."""
_ABOVE: Final = frozenset(
    {
        *("api", "internal", "probe", "probes", "system", "monitoring", "status", "k8s", "ops"),
        *("service", "actuator", "management", "app", "check", "checks"),
    }
)
_VERSION: Final = re.compile(r"v\d+")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def is_health(route: Route) -> bool:
    """Return whether a route tells anybody whether the service is well.

    Whole segments of the whole path count: `/livestock` and `/devices/{number}/health` are none.
    """
    if "GET" not in route.methods or _knows_who_asks(route.needs):
        return False
    parameters = {param.name for one in _functions(route) for param in one.params}
    return any(_is_probed(path, parameters) for path in _paths(route))


def _functions(route: Route) -> tuple[Function, ...]:
    return (route.function, *(one.function for one in route.dependencies))


def _paths(route: Route) -> list[str]:
    """Return the paths that clients use, as far as the code tells."""
    func = route.decorator.func
    if not isinstance(func, ast.Attribute):
        return [route.path]
    above = mounts.prefixes(func.value, route.function.around)
    return [f"{one}{route.path}" for one in above]


def _is_probed(path: str, parameters: set[str]) -> bool:
    segments = [one for one in path.split("/") if one]
    if not segments or any(_is_parameter(one, parameters) for one in segments):
        return False
    *before, last = segments
    words = _words(last)
    if not words or not words <= _HEALTH | _STATE | _BESIDE:
        return False
    if words & _HEALTH:
        return True
    return bool(words & _STATE) and all(map(_leads_to_probes, before))


def _words(segment: str) -> set[str]:
    """Return the words of a segment: of `isAlive`, `is-alive` and `__alive__`."""
    return {word.lower() for word in _WORDS.findall(segment)}


def _leads_to_probes(segment: str) -> bool:
    words = _words(segment)
    known = _HEALTH | _ABOVE
    return "{" in segment or words <= known or _VERSION.fullmatch(segment) is not None


def _is_parameter(segment: str, parameters: set[str]) -> bool:
    """Return whether a segment is filled by each request; `{settings.PREFIX}` is not."""
    named = re.findall(r"\{(\w+)(?::\w+)?\}", segment)
    return any(name in parameters for name in named)


def _knows_who_asks(needs: Iterable[Need]) -> bool:
    """Return whether a route is given who asks: no probe has a login."""
    return any(need.param is not None and _is_login(need, 3) for need in needs)


def _is_login(need: Need, hops: int) -> bool:
    target = need.call.args[0] if need.call.args else None
    ref = names.resolve(target, need.scope)
    if ref is not None and ref.name.startswith("fastapi.security."):
        return True
    inner = () if need.dependency is None or not hops else need.dependency.needs
    return any(_is_login(one, hops - 1) for one in inner)
