"""`install`: put a whole application under the contract."""

from functools import partial
from typing import Any, Final, cast, get_args
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from roadworthy import _fastapi, _hook_check
from roadworthy.problems.asgi.innermost import Innermost
from roadworthy.problems.asgi.lingering_close import Linger
from roadworthy.problems.asgi.outermost import Observer, Outermost
from roadworthy.problems.asgi.outgoing_response import Rules
from roadworthy.problems.asgi.watchers import watchers_of
from roadworthy.problems.contract import Contract, OnFailure
from roadworthy.problems.exception_handlers import hand_over, register, tell_of
from roadworthy.problems.mounted import settle
from roadworthy.problems.openapi.app_openapi import document
from roadworthy.problems.spellings.choice import Spelling
from roadworthy.problems.type_pages.page import page
from roadworthy.problems.type_pages.route import place

__all__ = ["install", "is_installed"]

_INSTALLED: Final = "roadworthy_contract"


def install(
    app: FastAPI,
    *,
    default: Spelling = "envelope",
    types: str = "/problems",
    tell_5xx: bool = False,
    observe: Observer | None = None,
    on_failure: OnFailure | None = None,
    replace: bool | None = None,
    linger: Linger | None = None,
) -> None:
    """Give every failure of `app` one shape, its mounted applications included.

    Handlers that the application has registered, before or afterwards, win over ours; a
    line in the log names them at start.

    Args:
        app: The application, which must not have started.
        default: The spelling for clients that prefer neither: `"envelope"`, or
            `"problem+json"` (RFC 9457).
        types: The path under which each problem type has its page.
        tell_5xx: Whether clients get the texts that you write into an `HTTPException` of 500
            and above. Those of 4xx are always sent, those of a crash never.
        observe: Called after each response as `observe(scope, status, seconds)`:
            `observability.RequestLog` is one.
        on_failure: Called once for each crash, and for each failure after the response, with
            the exception that was raised first.
        replace: True gives HTTP errors, validation and crashes to the contract, whatever
            handlers the application has; False says that these are meant, and logs no warning.
        linger: The limits of reading on after a refusal that did not wait for the body.

    Raises:
        RuntimeError: The application has already started.
        TypeError: An argument is of another type; the text names it.
        ValueError: `default` is no spelling, or `types` is no path.
    """
    _check_spelling(default)
    _check_path(types)
    _check_called(observe=observe, on_failure=on_failure)
    _check_linger(linger)
    types = "/" + types.strip("/")
    setattr(app.state, _INSTALLED, True)
    register(app)
    app.user_middleware.append(Middleware(Innermost, owner=app, settle=settle))
    document(app)
    contract = Contract(default=default, types=types, tell_5xx=tell_5xx, on_failure=on_failure)
    outermost = partial(_outermost, app=app, contract=contract, observe=observe, linger=linger)

    def prepare() -> None:
        if replace:
            hand_over(app)
        register(app)
        tell_of(app, replace=replace)

    _fastapi.wrap_outermost(app, outermost, first=prepare)


def _check_spelling(default: object) -> None:
    if default not in get_args(Spelling):
        choices = " or ".join(f'default="{name}"' for name in get_args(Spelling))
        raise ValueError(f"default is {default!r}: write {choices}.")


def _check_path(types: object) -> None:
    if not isinstance(types, str):
        raise TypeError(f'types is {types!r}, and has to be a path: types="/problems".')
    if not types.strip("/") or set(types) & set("{}?#"):
        raise ValueError(f'types is {types!r}, and has to be a path: types="/problems".')


def _check_called(**functions: object) -> None:
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise TypeError(f"{name} is {function!r}, and has to be a function.")


def _check_linger(linger: object) -> None:
    if linger is not None and not isinstance(linger, Linger):
        raise TypeError(
            f"linger is {linger!r}: write linger=problems.Linger(max_time=timedelta(seconds=5))."
        )


def is_installed(app: Starlette) -> bool:
    """Return whether `install` was called with this application."""
    return hasattr(app.state, _INSTALLED)


def _outermost(
    inner: ASGIApp,
    *,
    app: FastAPI,
    contract: Contract,
    observe: Observer | None,
    linger: Linger | None,
) -> ASGIApp:
    # Now all routes and middleware are there, but for what lifespan and requests bring.
    try:
        _hook_check.check_hooks()
    except RuntimeError as error:
        return _Refusal(error)

    def settle_all() -> None:
        settle(app)
        place(app, f"{contract.types}/{{code}}", page)

    settle_all()
    return Outermost(
        inner,
        rules=Rules(contract=contract, cors_for=partial(_cors_for, app), debug=app.debug),
        settle=settle_all,
        observe=observe,
        watchers=tuple(watchers_of(app)),
        linger=linger,
    )


class _Refusal:
    """An ASGI application that fails at start, with an error of the self-test."""

    def __init__(self, error: RuntimeError) -> None:
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # else servers take the lifespan for unsupported
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self.error)})
        raise self.error


def _cors_for(app: Starlette, scope: Scope) -> CORSMiddleware | None:
    """Return the CORS middleware for an answer that was made outside of it."""
    return _cors_of(scope.get("app", app)) or _cors_of(app)


_cors: WeakKeyDictionary[Starlette, CORSMiddleware | None] = WeakKeyDictionary()


def _cors_of(app: Starlette) -> CORSMiddleware | None:
    if app not in _cors:
        _cors[app] = _make_cors(app)
    return _cors[app]


def _make_cors(app: Starlette) -> CORSMiddleware | None:
    for middleware in app.user_middleware:
        make: Any = middleware.cls
        if isinstance(make, type) and issubclass(cast("type[object]", make), CORSMiddleware):
            return cast("CORSMiddleware", make(_nobody, *middleware.args, **middleware.kwargs))
    return None


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None: ...
