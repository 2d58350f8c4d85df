"""Types of parameters that Pydantic takes, and no JSON gives back."""

from enum import Enum
from inspect import isclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

__all__ = ["check_kind"]


def check_kind(where: str, hint: Any) -> None:
    """Refuse a type some values of which could never be read from JSON again.

    Raises:
        TypeError: The text says what to write; it begins with `where`.
    """
    if hint is BaseModel:
        raise TypeError(f"{where} is a BaseModel of no fields: name the model itself.")
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(kind) is None and isclass(kind) and issubclass(kind, Enum):
        _check_enum(where, kind, TypeAdapter[Any](hint))
        return
    if kind is not hint:  # who annotates it may say how it is written and read
        return
    for part in get_args(hint):
        check_kind(where, part)


def _check_enum(where: str, kind: type[Enum], adapter: TypeAdapter[Any]) -> None:
    for member in kind:
        if not _comes_back(adapter, member):
            raise TypeError(
                f"{where} may be {member}, whose value {member.value!r} cannot be read from JSON "
                f"again. Give each member of {kind.__name__} a text or a number of its own: "
                f'{member.name} = "{member.name.lower()}".'
            )


def _comes_back(adapter: TypeAdapter[Any], member: Enum) -> bool:
    try:
        return bool(adapter.validate_json(adapter.dump_json(member)) is member)
    except Exception:  # whatever a value raises where it is written, compared or read
        return False
