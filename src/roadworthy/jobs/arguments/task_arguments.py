"""What a task takes: the parameters that are stored, and those that are given."""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from roadworthy.jobs.arguments.callables import callee
from roadworthy.jobs.arguments.lossy_types import check_kind
from roadworthy.jobs.arguments.reader import Reader
from roadworthy.jobs.arguments.same import same
from roadworthy.jobs.arguments.unique_key import argument_key
from roadworthy.jobs.job import Job

__all__ = ["ArgumentsMistaken", "Injected", "Signature", "signature_of"]

Injected: TypeAlias = Literal["job", "tx", "session"]
"""`tx` is a transaction to await, `session` one of synchronous SQLAlchemy."""

_CONFIG: Final = ConfigDict(
    extra="forbid",
    allow_inf_nan=False,
    hide_input_in_errors=True,
)
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it: an `\\u0000` whose backslash is not itself escaped."""
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ArgumentsMistaken(TypeError):
    """The arguments do not fit the task: nothing was enqueued."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a task, sorted by where they come from."""

    task: str
    stored: TypeAdapter[dict[str, Any]]
    injected: Mapping[str, Injected]
    positional: tuple[str, ...]
    """Names of the stored parameters that may be passed by position."""
    reader: Reader
    defaults: Callable[[], Mapping[str, Any]]
    """What parameters are where they are left out, as their types have it."""

    @property
    def takes_tx(self) -> bool:
        """Whether the task runs in the transaction that completes it."""
        return not {"tx", "session"}.isdisjoint(self.injected.values())

    @property
    def takes_session(self) -> bool:
        """Whether it does so with a `Session`, in a thread."""
        return "session" in self.injected.values()

    def dump(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Return the arguments as JSON.

        Raises:
            ArgumentsMistaken: They do not fit the parameters, or JSON.
        """
        return self._checked(args, kwargs)[1]

    def dump_with_key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Return the arguments as JSON, and what is the same for all that equal them.

        Raises:
            ArgumentsMistaken: They do not fit the parameters, or JSON.
        """
        checked, text = self._checked(args, kwargs)
        return text, argument_key({**self.defaults(), **checked}, text)

    def _checked(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], str]:
        try:
            checked = self.stored.validate_python(self._named(args, kwargs))
            return checked, self._written(checked)
        except ValidationError as error:
            raise ArgumentsMistaken(f"{self.task} cannot be enqueued: {_brief(error)}.") from error
        except (PydanticSerializationError, ValueError) as error:
            raise ArgumentsMistaken(f"{self.task} cannot be enqueued: {error}.") from error

    def load(self, text: str) -> dict[str, Any]:
        """Return the arguments from their JSON.

        Raises:
            ValidationError: They do not fit the parameters as they are now.
        """
        return self.reader.read(text)

    def _written(self, checked: dict[str, Any]) -> str:
        """Return the JSON that these arguments are read from again.

        It has the names of fields. Where an alias is the name of another field, that would
        be read as the other one, so then it has the aliases.
        """
        text = self._json(checked, by_alias=False)
        try:
            self._refuse_what_is_lost(checked, text)
        except ValueError as error:
            aliased = self._json(checked, by_alias=True)
            if aliased == text:
                raise
            try:
                self._refuse_what_is_lost(checked, aliased)
            except ValueError:
                raise error from None
            return aliased
        return text

    def _json(self, checked: dict[str, Any], *, by_alias: bool) -> str:
        return self.stored.dump_json(checked, round_trip=True, by_alias=by_alias).decode()

    def _refuse_what_is_lost(self, checked: dict[str, Any], text: str) -> None:
        if _NUL.search(text):  # PostgreSQL's jsonb, by which people look at arguments, has none
            raise ValueError("the character U+0000 cannot be stored as JSON")
        # In untyped values and in models of their own config, NaN was written as null.
        if any(word in text for word in ("null", "NaN", "Infinity")):
            as_they_are = self.stored.dump_python(checked, round_trip=True, by_alias=False)
            plain = to_json(as_they_are, inf_nan_mode="constants", serialize_unknown=True)
            json.loads(plain, parse_constant=_refuse_constant)
        if (received := self.load(text)) != checked:
            changed = ", ".join(
                name for name in checked if not same(checked[name], received.get(name))
            )
            if not changed:
                return
            raise ValueError(f"{changed} would not be the same when it is read from JSON again")

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self.positional):
            raise ArgumentsMistaken(
                f"{self.task} takes {len(self.positional)} arguments by position, not {len(args)}."
            )
        named = dict(zip(self.positional, args, strict=False))
        if twice := named.keys() & kwargs.keys():
            raise ArgumentsMistaken(f"{self.task} was given {', '.join(sorted(twice))} twice.")
        return {**named, **kwargs}


def signature_of(task: str, function: Callable[..., Any]) -> Signature:
    """Read the parameters of a function.

    Raises:
        TypeError: One of them cannot be stored; the text says which and why.
    """
    hints = _hints(task, callee(function))
    parameters = _parameters(task, function)
    injected: dict[str, Injected] = {
        p.name: kind for p in parameters if (kind := _injected(hints.get(p.name)))
    }
    stored = [p for p in parameters if p.name not in injected]
    for parameter in stored:
        _check(task, parameter, hints)
    positional = tuple(p.name for p in stored if p.kind is not inspect.Parameter.KEYWORD_ONLY)
    adapter = _adapter(task, stored, hints)
    defaults = cache(lambda: _defaults(stored, hints))
    return Signature(task, adapter, injected, positional, Reader(adapter), defaults)


def _defaults(stored: list[inspect.Parameter], hints: Mapping[str, Any]) -> dict[str, Any]:
    return {
        p.name: _as_its_type_has_it(p.default, hints[p.name])
        for p in stored
        if p.default is not inspect.Parameter.empty
    }


def _as_its_type_has_it(default: object, hint: Any) -> object:
    try:
        return TypeAdapter(hint).validate_python(default)
    except Exception:  # Python does not check a default, and neither may its type fit it
        return default


def _parameters(task: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError as error:  # many functions written in C tell nothing of them
        raise TypeError(f"{task}: {error}. Write a function that calls it, with types.") from error


def _hints(task: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{task}: {error}, where its types are read. Import or define it at module level, "
            "outside of `if TYPE_CHECKING:`: arguments are checked at run time."
        ) from error


def _injected(hint: Any) -> Injected | None:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if not isinstance(hint, type):
        return None
    if issubclass(hint, Job):
        return "job"
    if issubclass(hint, Session):
        return "session"
    return "tx" if issubclass(hint, AsyncSession) else None


def _check(task: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> None:
    if parameter.kind not in _NAMED:
        raise TypeError(
            f"{task}: the parameter {parameter} cannot be stored by its name. Name each one."
        )
    if parameter.name == "self" and "self" not in hints:
        raise TypeError(
            f"{task}: `self` has no type. A method is no task, because a job has no object to call "
            "it on: write a function of a module, or `@staticmethod` above `@task`."
        )
    if parameter.name not in hints:
        raise TypeError(
            f"{task}: the parameter {parameter.name} has no type. Write one, such as "
            f"{parameter.name}: str; it says how the argument is stored and checked."
        )
    check_kind(f"{task}: the parameter {parameter.name}", hints[parameter.name])


def _adapter(
    task: str, stored: list[inspect.Parameter], hints: Mapping[str, Any]
) -> TypeAdapter[dict[str, Any]]:
    fields = {p.name: _field(p, hints[p.name]) for p in stored}
    make: Any = TypedDict  # at run time: checkers want to see the fields
    shape = make("Arguments", fields)
    shape.__pydantic_config__ = _CONFIG
    try:
        return TypeAdapter(shape)
    except PydanticSchemaGenerationError as error:
        raise TypeError(
            f"{task} takes something that cannot be stored as JSON. Take an id, and read the rest "
            f"when the job runs. ({error.message.partition('. ')[0]}.)"
        ) from error


def _field(parameter: inspect.Parameter, hint: Any) -> Any:
    required = parameter.default is inspect.Parameter.empty
    return Required[hint] if required else NotRequired[hint]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} cannot be stored as JSON")


def _brief(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)
    )
