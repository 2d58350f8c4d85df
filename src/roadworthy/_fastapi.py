"""The one module that touches private parts of FastAPI and Starlette.

Six things have no public hook (FastAPI 0.165, Starlette 1.10):

* standing outside every middleware: `wrap_outermost`;
* seeing the response while the transaction is still open: `response_of`. `_route_hook` puts the
  hook around each handler, and `_hook_check` checks at each start that requests reach it;
* answering, or running the endpoint again, from inside a dependency: `Answer`, `Again`;
* reading the body once everything else about the request has been checked, and learning how the
  request ended: `reads_body`, `streams_body`, `when_settled`, with `_early_validation` and
  `_request_body`;
* asking before anything of a request is read: `route_class`;
* reading which dependencies and which body a route has: `dependencies_of`, `takes_json`,
  `tree_of`, and letting one dependency run right behind another: `Companion`, `when_closed`.

Everything else in this library uses documented interfaces only. The private names are imported
below, each with its `pyright: ignore`.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from types import CodeType, FunctionType
from typing import Any, Final, TypeAlias, TypeVar, cast

from fastapi import params
from fastapi import routing as _routing
from fastapi.dependencies.models import (
    Dependant,
    _get_computed_scope,  # pyright: ignore[reportPrivateUsage]
    _is_async_gen_callable,  # pyright: ignore[reportPrivateUsage]
    _is_coroutine_callable,  # pyright: ignore[reportPrivateUsage]
    _unwrapped_call,  # pyright: ignore[reportPrivateUsage]
)
from fastapi.dependencies.utils import (
    _get_form_models,  # pyright: ignore[reportPrivateUsage]
    _get_param_aliases,  # pyright: ignore[reportPrivateUsage]
    _get_param_model,  # pyright: ignore[reportPrivateUsage]
    get_dependant,
    get_typed_return_annotation,
    get_typed_signature,
)
from fastapi.routing import (
    APIRoute,
    APIRouter,
    RouteContext,
    _effective_route_context_var,  # pyright: ignore[reportPrivateUsage]
    _get_scope_effective_route_context,  # pyright: ignore[reportPrivateUsage]
    _IncludedRouter,  # pyright: ignore[reportPrivateUsage]
    iter_route_contexts,
)
from starlette._exception_handler import wrap_app_handling_exceptions
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Scope

from roadworthy._internal.objects_within import objects_within

__all__ = [
    "CLOSED",
    "FUNCTION_STACK",
    "HOOKED",
    "PREPARE",
    "REQUEST_APPS",
    "RESPONSE",
    "SETTLE",
    "TELEMETRY",
    "Again",
    "Answer",
    "Companion",
    "Handler",
    "Prepare",
    "Settle",
    "annotation_of",
    "arrange",
    "body_media_type",
    "closes_late",
    "dependencies_of",
    "effective",
    "included_routers",
    "is_api_route",
    "is_hooked",
    "is_inclusion",
    "is_over_limit",
    "may_await",
    "needs_content_type",
    "original_of",
    "parameters_of",
    "reads_body",
    "response_of",
    "returned_by",
    "route_class",
    "route_contexts",
    "route_of",
    "stop_measuring",
    "streams_body",
    "takes_json",
    "template_of",
    "tree_of",
    "unwrapped",
    "values_of",
    "when_closed",
    "when_settled",
    "wrap_outermost",
    "yields",
]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Prepare: TypeAlias = Callable[[Request], Request]
Settle: TypeAlias = Callable[[Response | None, BaseException | None], Awaitable[None]]
"""Called with the response, or with the error, when a request has ended."""
Closed: TypeAlias = Callable[[BaseException | None], Awaitable[None]]
F = TypeVar("F", bound=Callable[..., Any])

PREPARE: Final = "roadworthy.prepare"
"""Scope key: a function that makes requests with a JSON body read it more strictly."""

TELEMETRY: Final = "fastapi.telemetry"
"""Scope key: the telemetry that FastAPI keeps of a request; None or absent where it is off."""

HOOKED: Final = "roadworthy.hooked"
RESPONSE: Final = "roadworthy.response"
FUNCTION_STACK: Final = "fastapi_function_astack"
_READS_BODY: Final = "__roadworthy_reads_body__"
_COMPANION: Final = "__roadworthy_companion__"
CLOSED: Final = "roadworthy.closed"
SETTLE: Final = "roadworthy.settle"
_NOT_ALONE: Final = (
    "{route} has an upload and another parameter of the body (Form, File, Body, a model): the body "
    "can be read once. Take fields from the upload: form: Annotated[Form, documents.form]."
)


class Answer(Exception):
    """Raise in a dependency of a hooked route to answer now, without the endpoint."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered")
        self.response = response


class Again(Exception):
    """Raise while dependencies close to run the request again, after `pause` seconds."""

    def __init__(self, *, pause: float) -> None:
        super().__init__("run again")
        self.pause = pause


def route_class(around: Callable[[Handler, str], Handler]) -> type[APIRoute]:
    """Return a class of routes whose handlers are wrapped, before anything of a request is read.

    `around` is given a handler, and the path of its route as that was declared in its router.
    """

    class Wrapped(APIRoute):
        """A route whose handler is wrapped."""

        def get_route_handler(self) -> Any:
            return around(super().get_route_handler(), self.path_format)

    return Wrapped


def response_of(connection: HTTPConnection) -> Response | None:
    """Return the endpoint's response, which is set while function-scoped dependencies close."""
    return cast("Response | None", connection.scope.get(RESPONSE))


def is_hooked(connection: HTTPConnection) -> bool:
    """Return whether `response_of`, `Answer` and `Again` work for this request."""
    return HOOKED in connection.scope


def reads_body(dependency: F) -> F:
    """Declare that a dependency reads the body by itself: it then runs after all others.

    So dependencies that authenticate run first, wherever they are declared. FastAPI's own limit
    of the body is lifted: the dependency has limits of its own.
    """
    setattr(dependency, _READS_BODY, True)
    return dependency


@dataclass(frozen=True, slots=True)
class Companion:
    """A dependency that runs right after another one, in every route that has the other."""

    of: Dependant
    """The other dependency."""
    run: Callable[..., Any]
    """Takes `request`, and the value of `of` as `session`; its scope is "function"."""
    apart: str
    """The refusal, at start, of a `{route}` whose `of` is not shared with others."""

    def declare_on(self, dependency: F) -> F:
        """Bring the companion to each route that has this dependency."""
        setattr(dependency, _COMPANION, self)
        return dependency


def when_closed(request: Request, tell: Closed) -> None:
    """Call `tell(error)` once the function scope has closed, before anything is sent.

    If `tell` raises and there was no error before, its exception becomes the answer.
    """
    request.scope.setdefault(CLOSED, []).append(tell)


def tree_of(dependency: params.Depends) -> Dependant:
    """Return a dependency with everything that it depends on, as FastAPI sees them."""
    call: Any = dependency.dependency
    return get_dependant(path="/", call=call, scope=dependency.scope)


def yields(dependant: Dependant) -> bool:
    """Return whether a dependency does something after the endpoint."""
    return _get_computed_scope(dependant=replace(dependant, scope=None)) is not None


def closes_late(dependant: Dependant) -> bool:
    """Return whether a dependency does something after the response has been sent."""
    return yields(dependant) and dependant.scope != "function"


def may_await(dependant: Dependant) -> bool:
    """Return whether FastAPI runs a dependency on the event loop, not in a thread."""
    return _is_coroutine_callable(dependant.call) or _is_async_gen_callable(dependant.call)


def annotation_of(dependant: Dependant, child: Dependant) -> Any:
    """Return a dependency's annotation of the parameter that another one fills, or None."""
    parameters = get_typed_signature(cast("Callable[..., Any]", dependant.call)).parameters
    parameter = parameters.get(child.name or "")
    return parameter.annotation if parameter is not None else None


def returned_by(call: Callable[..., Any]) -> Any:
    """Return the return annotation of a dependency, None where there is none."""
    return get_typed_return_annotation(call)


def unwrapped(call: Callable[..., Any]) -> Any:
    """Return the function within partials and decorators."""
    return _unwrapped_call(call)


def when_settled(request: Request, settle: Settle) -> None:
    """Call `settle(response, error)` after the function scope; one of the two is None.

    By then the transaction is committed or rolled back. What `settle` raises is logged, and
    does not change the answer.
    """
    request.scope.setdefault(SETTLE, []).append(settle)


def arrange(route: Any) -> None:
    """Order the dependencies of a route as the library needs them."""
    _put_last(route.dependant)
    _accompany(route)
    _check_alone(route)


def _codes_within(function: Any, module: str) -> frozenset[CodeType]:
    """Return the code objects of the functions that a function defines in its body."""
    found = [held for held in objects_within(function) if isinstance(held, FunctionType)]
    own = [held for held in found if held.__module__ == module] or found
    consts = (const for made in own for const in made.__code__.co_consts)
    return frozenset(const for const in consts if isinstance(const, CodeType))


REQUEST_APPS: Final = _codes_within(_routing.request_response, _routing.__name__)
"""The code of the ASGI application that FastAPI makes of a handler."""

_HANDLING: Final = _codes_within(wrap_app_handling_exceptions, "starlette._exception_handler")
"""The code in which Starlette looks for the handler of an exception."""


def streams_body(route: Any) -> bool:
    """Return whether a dependency of a route reads the body by itself."""
    return any(getattr(dep.call, _READS_BODY, False) for dep in dependencies_of(route))


def _check_alone(route: Any) -> None:
    if streams_body(route) and getattr(route, "body_field", None) is not None:
        raise RuntimeError(_NOT_ALONE.format(route=route.path))


def _put_last(dependant: Dependant) -> bool:
    """Order readers of the body last, and return whether there are any."""
    reads = {id(child): _put_last(child) for child in dependant.dependencies}
    dependant.dependencies.sort(key=lambda child: reads[id(child)])
    return any(reads.values()) or getattr(dependant.call, _READS_BODY, False)


def _accompany(route: Any) -> None:
    """Put companions behind the dependencies that they accompany."""
    declared = [getattr(dep.call, _COMPANION, None) for dep in dependencies_of(route)]
    for companion in declared:
        if companion is not None:
            _accompany_all(route.dependant, companion, route.path)


def _accompany_all(dependant: Dependant, companion: Companion, path: str) -> None:
    children = dependant.dependencies
    for at, child in reversed(list(enumerate(children))):
        _accompany_all(child, companion, path)
        behind = children[at + 1].call if at + 1 < len(children) else None
        if child.call is companion.of.call and behind is not companion.run:
            _check_shared(child, companion, path)
            children.insert(at + 1, _behind(child, companion))


def _check_shared(child: Dependant, companion: Companion, path: str) -> None:
    scopes = {_get_computed_scope(dependant=each) for each in (child, companion.of)}
    if len(scopes) > 1 or not child.use_cache:
        raise RuntimeError(companion.apart.format(route=path))


def _behind(child: Dependant, companion: Companion) -> Dependant:
    return Dependant(
        call=companion.run,
        path=child.path,
        scope="function",
        request_param_name="request",
        dependencies=[replace(child, name="session")],
    )


def effective(route: APIRoute) -> APIRoute:
    """Return a route as the router that is just being included sees it."""
    context = _effective_route_context_var.get()
    included = context is not None and context.original_route is route
    return cast("APIRoute", context) if included else route


def included_routers(routes: list[BaseRoute]) -> Iterator[APIRouter]:
    """Yield the routers that were included, and those that they include."""
    for route in routes:
        if isinstance(route, _IncludedRouter):
            yield route.original_router
            yield from included_routers(route.original_router.routes)


def is_inclusion(route: BaseRoute) -> bool:
    """Return whether a route stands for a router that was included."""
    return isinstance(route, _IncludedRouter)


def original_of(error: BaseException) -> BaseException:
    """Return the original error where Starlette's only says that the response had started."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    raised_there = last is not None and last.tb_frame.f_code in _HANDLING
    return error.__cause__ if raised_there and error.__cause__ is not None else error


def route_contexts(app: Starlette) -> Iterator[RouteContext]:
    """Yield every FastAPI route with its full path and all its dependencies."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            yield context


def route_of(scope: Scope) -> Any:
    """Return the route that a request was sent to, as its router sees it, or None."""
    context = _get_scope_effective_route_context(scope)
    return context or scope.get("route")


def template_of(scope: Scope) -> str | None:
    """Return the path template of a request, with its mount's prefix if telemetry is on."""
    told: str | None = getattr(scope.get(TELEMETRY), "route", None)
    return told or getattr(route_of(scope), "path_format", None)


def dependencies_of(route: Any) -> Iterator[Dependant]:
    """Yield the dependencies of a route, at any depth, without the endpoint itself."""
    for dependant in route.dependant.dependencies:
        yield from _flatten(dependant)


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for child in dependant.dependencies:
        yield from _flatten(child)


def is_api_route(route: Any) -> bool:
    """Return whether a route is FastAPI's, not a mount or one of Starlette's."""
    return getattr(route, "dependant", None) is not None


def parameters_of(route: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each parameter of a route and its dependencies, with its place, such as "query"."""
    for dependant in (route.dependant, *dependencies_of(route)):
        for where in ("path", "query", "header", "cookie"):
            for field in getattr(dependant, f"{where}_params"):
                yield where, field


def values_of(route: Any) -> Iterator[tuple[Any, tuple[str, ...], Any]]:
    """Yield the place, the names and the schema of each value of a request.

    A model whose fields are read from the place directly has no name of its own.
    """
    for where, field in parameters_of(route):
        model = _get_param_model(field)
        yield where, () if model else _names_of(field), _schema_of(field)
    for dependant in (route.dependant, *dependencies_of(route)):
        for field in dependant.body_params:
            alone = field is route.body_field or _get_form_models(field)
            yield "body", () if alone else _names_of(field), _schema_of(field)


def _schema_of(field: Any) -> Any:
    return field._type_adapter.core_schema  # noqa: SLF001


def _names_of(field: Any) -> tuple[str, ...]:
    aliases = (name for pair in _get_param_aliases(field) for name in pair)
    return tuple(dict.fromkeys([*aliases, field.alias, field.name]))


def takes_json(route: Any) -> bool:
    """Return whether FastAPI parses the body of a route as JSON."""
    return body_media_type(route).endswith("json")


def body_media_type(route: Any) -> str:
    """Return the media type that a route declares for its body, or nothing."""
    body = route.body_field
    if body is None or isinstance(body.field_info, params.Form):
        return ""
    return str(body.field_info.media_type)


def is_over_limit(scope: Scope) -> bool:
    """Return whether the body declares more than the limit that is in force here."""
    limit, declared = (
        scope.get(MAX_BODY_SIZE_SCOPE_KEY),
        Headers(scope=scope).get("content-length", ""),
    )
    return limit is not None and declared.isdecimal() and int(declared) > limit


def needs_content_type(route: Any) -> bool:
    """Return whether JSON without a `Content-Type` is refused: `strict_content_type`."""
    strict = route.strict_content_type
    return bool(getattr(strict, "value", strict))  # wrapped where nobody has set it


def stop_measuring(app: Starlette, into: Callable[[Any], bool]) -> bool:
    """Turn off FastAPI's own metrics of requests, which would count twice.

    `into(provider)` is asked of the meters that FastAPI was given, None for those of the
    process. Return whether they were on.
    """
    config: Any = getattr(app, "_telemetry", None)
    if config is None or not config["metrics"] or not into(config["meter_provider"]):
        return False
    config["metrics"] = False
    return True


def wrap_outermost(
    app: Starlette,
    wrapper: Callable[[ASGIApp], ASGIApp],
    *,
    first: Callable[[], None] | None = None,
) -> None:
    """Put `wrapper` around the application, its error middleware and body limits included.

    `first` is called before the rest is built.
    """
    if app.middleware_stack is not None:
        raise RuntimeError("The application has already started: install before the first request.")
    build = app.build_middleware_stack

    def build_wrapped() -> ASGIApp:
        if first is not None:
            first()
        return wrapper(build())

    setattr(app, "build_middleware_stack", build_wrapped)  # noqa: B010 - it is a method
