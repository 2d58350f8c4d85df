"""Amend an OpenAPI document: the problems of each operation, in both spellings.

FastAPI documents `HTTPValidationError`, a shape that is not sent any more, and knows
nothing of the problems that dependencies raise. Here each operation gets the problems that it, its
dependencies and the contract itself can answer with.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any, Final

from fastapi import FastAPI
from pydantic import TypeAdapter
from typing_extensions import TypedDict  # Pydantic needs this one before Python 3.12

from roadworthy import _fastapi
from roadworthy.problems import standard
from roadworthy.problems.declare import AMENDS, Documented, declared_by, raised_by_all
from roadworthy.problems.problem import Problem
from roadworthy.problems.spellings import envelope, problem_json
from roadworthy.problems.spellings.object_schema import Schema

__all__ = ["amend"]

_REF: Final = "#/components/schemas/"
_STALE: Final = ("HTTPValidationError", "ValidationError")
_REQUEST_ID: Final[Schema] = {
    "description": "Names this request in logs and errors: yours, if you sent a usable one.",
    "schema": {"type": "string"},
}


def amend(app: FastAPI, schema: Schema) -> None:
    """Amend the document of an application; amending it again changes nothing."""
    components: Schema = schema.setdefault("components", {}).setdefault("schemas", {})
    paths: dict[str | None, Schema] = schema.setdefault("paths", {})
    for context in _fastapi.route_contexts(app):
        for method in context.methods or ():
            operation = paths.get(context.path_format, {}).get(method.lower())
            if operation is not None:
                _amend_operation(app, context, operation, components)
    used = str(paths)
    for name in _STALE:
        if name in components and f"{_REF}{name}'" not in used:
            del components[name]


def _amend_operation(app: FastAPI, route: Any, operation: Schema, components: Schema) -> None:
    for hook in _hooks(route):
        hook(operation, components)
    _without_twins(operation)
    answers: Schema = operation.setdefault("responses", {})
    if _REF + "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    problems = dict.fromkeys([*_declared(route), *_implied(app, route, operation)])
    problems |= dict.fromkeys(p for p in raised_by_all(app) if str(p.status) not in answers)
    for status in sorted({problem.status for problem in problems}):
        these = [problem for problem in problems if problem.status == status]
        own = None if _is_ours(route, status) else answers.get(str(status))
        answers[str(status)] = _joined(own, _response(these, components))
    for answer in answers.values():
        answer.setdefault("headers", {}).setdefault("X-Request-ID", _REQUEST_ID)


def _without_twins(operation: Schema) -> None:
    """Remove parameters that were added twice, where a document is amended again."""
    parameters = operation.get("parameters")
    if parameters:
        named = {(p.get("name"), p.get("in"), p.get("$ref")): p for p in reversed(parameters)}
        operation["parameters"] = list(named.values())[::-1]


def _is_ours(route: Any, status: int) -> bool:
    answer = route.responses.get(status, route.responses.get(str(status)))
    return isinstance(answer, Documented)


def _joined(own: Schema | None, ours: Schema) -> Schema:
    """Join our answers with those of the same status that the user has documented."""
    if own is None:
        return ours
    content = {
        media_type: {
            **ours["content"].get(media_type, {}),
            **own.get("content", {}).get(media_type, {}),
        }
        for media_type in dict.fromkeys([*own.get("content", {}), *ours["content"]])
    }
    for media_type, documented in ours["content"].items():
        theirs = own.get("content", {}).get(media_type, {}).get("schema")
        content[media_type]["schema"] = _either(theirs, documented["schema"])
    headers = {**ours["headers"], **own.get("headers", {})}
    return {**ours, **own, "headers": headers, "content": content}


def _either(theirs: Schema | None, ours: Schema) -> Schema:
    choices = [one for schema in (theirs, ours) if schema for one in schema.get("anyOf", [schema])]
    distinct = [choice for at, choice in enumerate(choices) if choice not in choices[:at]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _hooks(route: Any) -> Iterator[Callable[[Schema, Schema], None]]:
    hooks = (getattr(dep.call, AMENDS, None) for dep in _fastapi.dependencies_of(route))
    return (hook for hook in hooks if hook is not None)


def _declared(route: Any) -> Iterator[type[Problem]]:
    for answer in route.responses.values():
        if isinstance(answer, Documented):
            yield from answer.problems
    for dependant in _fastapi.dependencies_of(route):
        yield from declared_by(dependant.call)
    yield from declared_by(route.endpoint)


def _implied(app: FastAPI, route: Any, operation: Schema) -> Iterator[type[Problem]]:
    """Yield the problems that the contract itself answers with on this route."""
    if any(where == "path" for where, _ in _fastapi.parameters_of(route)):
        yield standard.NotFound  # a value that no route matches, such as one with a slash
    if any(True for _ in _fastapi.parameters_of(route)) or route.body_field is not None:
        yield standard.ValidationFailed
    if "requestBody" in operation:
        yield from _implied_by_body(app, route)
    yield standard.MethodNotAllowed
    yield standard.InternalError


def _implied_by_body(app: FastAPI, route: Any) -> Iterator[type[Problem]]:
    if route.body_field is not None:
        yield standard.MalformedBody
    if _fastapi.takes_json(route):
        yield standard.UnsupportedMediaType
    if route.max_body_size is not None or app.max_body_size is not None:
        yield standard.PayloadTooLarge


def _response(problems: list[type[Problem]], components: Schema) -> Schema:
    schemas = [_add_schemas(problem, components) for problem in problems]
    codes = dict.fromkeys(problem.code for problem in problems)
    headers: Schema = {"X-Error-Code": {"schema": {"type": "string", "enum": list(codes)}}}
    for name in (name for problem in problems for name in _sent_with(problem)):
        headers[name] = {"schema": {"type": "string"}}
    return {
        "description": " ".join(_sentence(problem) for problem in problems),
        "headers": headers,
        "content": {
            envelope.MEDIA_TYPE: {"schema": _any_of(name for name, _ in schemas)},
            problem_json.MEDIA_TYPE: {"schema": _any_of(name for _, name in schemas)},
        },
    }


def _sent_with(problem: type[Problem]) -> Iterable[str]:
    yield from problem.headers or {}
    if issubclass(problem, standard.MethodNotAllowed):
        yield "Allow"


def _sentence(problem: type[Problem]) -> str:
    return (problem.__doc__ or problem.title).strip().splitlines()[0]


def _any_of(names: Iterable[str]) -> Schema:
    refs = [{"$ref": _REF + name} for name in dict.fromkeys(names)]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _add_schemas(problem: type[Problem], components: Schema) -> tuple[str, str]:
    """Add the schemas of both spellings of a problem, and return their names."""
    details: Schema = {"type": "array", **_items(problem, components)}
    name = problem.__name__.removesuffix("Error").removesuffix("Problem")
    in_envelope, as_problem = (
        envelope.schema(problem, details),
        problem_json.schema(problem, details),
    )
    return (
        _put(f"{name}Error", in_envelope, components, problem.__module__),
        _put(f"{name}Problem", as_problem, components, problem.__module__),
    )


def _put(name: str, schema: Schema, components: Schema, module: str) -> str:
    """Add a schema under its name, or under a longer one where that name is taken."""
    if components.setdefault(name, schema) == schema:
        return name
    longer = f"{module.replace('.', '__')}__{name}"  # as FastAPI names its own twins
    components.setdefault(longer, schema)
    return longer


def _items(problem: type[Problem], components: Schema) -> Schema:
    kind: Any = problem  # its instances have no hash, but it has one
    schema = deepcopy(_details_schema(kind))  # a document may be changed by its owner
    if schema is None:
        return {"maxItems": 0}
    components.update(schema.pop("$defs", {}))
    return {"items": schema}


@lru_cache(maxsize=1024)
def _details_schema(problem: Any) -> Schema | None:
    kind = _details_type(problem)
    if kind is None:
        return None
    return TypeAdapter(kind).json_schema(mode="serialization", ref_template=_REF + "{model}")


def _details_type(problem: type[Problem]) -> Any:
    """Return the type of one of the problem's details, None where it never has any."""
    overridden = problem.details is not Problem.details
    members = problem.member_types()
    if overridden or not members:
        return problem.details_type
    make: Any = TypedDict  # checkers know no names that are made at run time
    return make(f"{problem.__name__}Details", members)
