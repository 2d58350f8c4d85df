"""Print, as JSON, what a FastAPI application has when it is imported.

It runs as a script in a process of its own, and is the only code here that runs the
audited application: `python probe.py shop.main:app`.
"""

import importlib
import inspect
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

__all__ = ["main"]


def main(target: str) -> int:
    """Import `module:app` or `module:make_app()`, and print what it has."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as Python's own -m does
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):  # an import may print anything
            app = _load(target)
            facts = _facts(app)
    except BaseException as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))  # noqa: T201
        return 1
    print(json.dumps(facts))  # noqa: T201
    return 0


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in (name or "app").removesuffix("()").split("."):
        found = getattr(found, part)
    is_factory = inspect.isfunction(found)
    return found() if is_factory else found


def _facts(app: Any) -> dict[str, Any]:
    return {
        "max_body_size": _limit(app),
        "handlers": sorted(_handlers(app)),
        "middleware": [_name(one.cls) for one in getattr(app, "user_middleware", [])],
        "routes": list(_routes(app)),
    }


def _limit(thing: Any) -> int | None:
    limit = getattr(thing, "max_body_size", None)
    return limit if isinstance(limit, int) else None


def _handlers(app: Any) -> Iterator[str]:
    """Return what has a handler of the application's own."""
    for key, handler in getattr(app, "exception_handlers", {}).items():
        if not getattr(handler, "__module__", "").startswith("fastapi."):
            yield str(key) if isinstance(key, int) else _name(key)


def _name(thing: Any) -> str:
    module = getattr(thing, "__module__", "")
    return f"{module}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _routes(app: Any, prefix: str = "") -> Iterator[dict[str, Any]]:
    for route in _contexts(app):
        path = f"{prefix}{getattr(route, 'path', None) or ''}"
        mounted = getattr(route, "app", None)
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None and hasattr(mounted, "routes"):
            yield from _routes(mounted, path)
        elif endpoint is not None:
            limits = (_limit(route), _limit(app))
            yield {
                "path": path,
                "methods": sorted(getattr(route, "methods", None) or ()),
                "max_body_size": next((one for one in limits if one is not None), None),
                "dependencies": list(_dependencies(getattr(route, "dependant", None))),
                **_where(endpoint),
            }


def _contexts(app: Any) -> Iterator[Any]:
    """Return the routes; FastAPI from 0.137 on keeps included routers as they are."""
    try:
        from fastapi.routing import iter_route_contexts  # noqa: PLC0415
    except ImportError:
        yield from app.routes
    else:
        yield from iter_route_contexts(app.routes)


def _dependencies(dependant: Any) -> Iterator[dict[str, Any]]:
    for one in getattr(dependant, "dependencies", ()):
        if one.call is not None:
            yield {**_where(one.call), "scope": getattr(one, "scope", None)}
        yield from _dependencies(one)


def _where(function: Any) -> dict[str, Any]:
    plain: Any = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None:  # an instance with `__call__`, or a class
        code = getattr(plain.__call__, "__code__", None)
    return {
        "file": "" if code is None else code.co_filename,
        "line": 0 if code is None else code.co_firstlineno,
        "name": "" if code is None else code.co_qualname,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
