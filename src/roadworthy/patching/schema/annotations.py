"""Read annotations as users wrote them: unions, models and objects."""

import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ForwardRef, Union, cast, get_args, get_origin

from pydantic import BaseModel, RootModel
from typing_extensions import is_typeddict

__all__ = ["arms_of", "bare", "is_model", "is_object", "nullable", "only_model", "plain"]

_UNIONS: tuple[Any, ...] = (Union, types.UnionType)
_OBJECTS = (Any, object)


def plain(annotation: Any) -> Any:
    """Return a type without its `Annotated` and its alias."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif hasattr(annotation, "__value__"):  # `type X = ...`
            annotation = annotation.__value__
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = annotation.__supertype__
        else:
            return annotation


def bare(annotation: Any) -> Any:
    """Return a type without metadata at any depth, for comparing two types."""
    annotation = plain(annotation)
    origin = get_origin(annotation)
    if origin is None or isinstance(get_args(annotation), str):
        return annotation
    if origin in _UNIONS:
        return frozenset(bare(arm) for arm in get_args(annotation))
    return (origin, *(bare(arg) for arg in get_args(annotation)))


def arms_of(annotation: Any) -> Iterator[Any]:
    """Yield the arms of a union but `None`; of another type, the type itself."""
    annotation = plain(annotation)
    if get_origin(annotation) in _UNIONS:
        for arm in get_args(annotation):
            yield from arms_of(arm)
    elif annotation is not types.NoneType:
        yield annotation


def nullable(annotation: Any) -> bool:
    """Return whether a type takes `None`."""
    annotation = plain(annotation)
    if get_origin(annotation) in _UNIONS:
        return any(nullable(arm) for arm in get_args(annotation))
    return annotation is None or annotation is types.NoneType


def is_model(kind: Any) -> bool:
    """Return whether a type is a model with fields."""
    if not isinstance(kind, type) or kind is BaseModel:
        return False
    return issubclass(kind, BaseModel) and not issubclass(kind, RootModel)


def only_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, where no other object can stand there."""
    objects = [arm for arm in arms_of(annotation) if is_model(arm) or is_object(arm)]
    alone = len(objects) == 1 and is_model(objects[0])
    return cast("type[BaseModel]", objects[0]) if alone else None


def is_object(kind: Any) -> bool:
    """Return whether values of a type can be JSON objects."""
    if any(kind is whole for whole in _OBJECTS) or is_typeddict(kind):
        return True
    origin: Any = get_origin(kind) or kind
    if not inspect.isclass(origin):
        return isinstance(kind, ForwardRef)
    return issubclass(origin, (Mapping, BaseModel)) or hasattr(origin, "__dataclass_fields__")
