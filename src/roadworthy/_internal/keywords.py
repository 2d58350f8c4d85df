"""`shows_keywords`: what `help()` and editors are told of a function that takes `**options`."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

__all__ = ["defaults_of", "refuse_unknown", "shows_keywords"]

F = TypeVar("F", bound=Callable[..., Any])


def shows_keywords(defaults: Mapping[str, object]) -> Callable[[F], F]:
    """Have `inspect.signature` list options by name and default, in place of `**options`.

    class Embedded:
        @shows_keywords(defaults_of(EmbeddedLimits))
        def __init__(self, **options: Unpack[EmbeddedOptions]) -> None: ...
    """

    def show(function: F) -> F:
        signature = inspect.signature(function)
        shown = signature.replace(parameters=list(_spelled(signature, defaults)))
        function.__signature__ = shown  # type: ignore[attr-defined] # inspect reads it
        return function

    return show


def _spelled(
    signature: inspect.Signature, defaults: Mapping[str, object]
) -> Iterator[inspect.Parameter]:
    for parameter in signature.parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            yield parameter
            continue
        for name, default in defaults.items():
            yield inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default)


def defaults_of(kind: Any, *, without: Iterable[str] = ()) -> dict[str, object]:
    """Return the names and defaults of a dataclass's fields."""
    return {field.name: _default(field) for field in fields(kind) if field.name not in {*without}}


def _default(field: "Field[Any]") -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default


def refuse_unknown(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse options that there are none of.

    Raises:
        TypeError: One of them is unknown; the text lists those that are known.
    """
    names = list(known)
    if unknown := sorted(set(given) - set(names)):
        raise TypeError(f"{owner} has no option {', '.join(unknown)}. It takes {', '.join(names)}.")
