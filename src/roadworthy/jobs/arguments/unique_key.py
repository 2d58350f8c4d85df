"""The key of `unique=` tasks: the same for equal arguments, in every process.

Order is left out where Python leaves it out: in sets, and in the keys of dicts, at any
depth. Numbers are equal that Python has equal, 1 and 1.0 and Decimal("1.00"), but for
True and False, which are no numbers here. Times are equal that are the same moment.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any, Final, TypeAlias, cast

from pydantic_core import PydanticSerializationError, to_jsonable_python

from roadworthy.jobs.arguments.same import instant, members

__all__ = ["argument_key"]

Form: TypeAlias = Any
"""What JSON writes in one way for all values that are equal."""


def argument_key(arguments: Mapping[str, Any], stored: str) -> str:
    """Return the unique key of checked arguments.

    `stored` is their JSON: the form of a value that has none of its own is taken from there.
    """
    forms: dict[str, Form] = {}
    for name, value in arguments.items():
        try:
            forms[name] = _form(value)
        except (PydanticSerializationError, TypeError, ValueError, RecursionError):
            forms[name] = _form(json.loads(stored).get(name))
    return sha256(_text(forms).encode()).hexdigest()


def _form(value: object) -> Form:
    if isinstance(value, Enum):
        return _form(value.value)
    for kinds, form in _FORMS:
        if isinstance(value, kinds):
            return form(value)
    if (named := members(value)) is not None:
        return {"members": sorted(_text([_form(k), _form(v)]) for k, v in named.items())}
    return {"other": to_jsonable_python(value)}


def _text(form: Form) -> str:
    return json.dumps(form, sort_keys=True, separators=(",", ":"))


def _number(value: float | Decimal) -> Form:
    sign, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        return {"number": str(value)}
    text = "".join(map(str, digits))
    shown = text.rstrip("0")
    if not shown:
        return {"number": "0"}
    return {"number": f"{'-' * sign}{shown.lstrip('0')}e{exponent + len(text) - len(shown)}"}


def _moment(value: datetime) -> Form:
    aware, since = instant(value)
    return {"moment" if aware else "local": [since.days, since.seconds, since.microseconds]}


def _duration(value: timedelta) -> Form:
    return {"duration": [value.days, value.seconds, value.microseconds]}


def _list(value: Any) -> Form:
    return [_form(one) for one in value]


def _set(value: Any) -> Form:
    return {"set": sorted(_text(_form(one)) for one in value)}


def _same(value: Any) -> Form:
    return value


def _as_text(value: Any) -> Form:
    return "".join(("", cast("str", value)))


def _day(value: date | time) -> Form:
    return {type(value).__name__: value.isoformat()}


_FORMS: Final[tuple[tuple[Any, Callable[[Any], Form]], ...]] = (
    ((bool, type(None)), _same),
    (str, _as_text),
    ((int, float, Decimal), _number),
    (datetime, _moment),
    ((date, time), _day),
    (timedelta, _duration),
    ((list, tuple, deque), _list),
    ((set, frozenset), _set),
)
"""In this order: a bool is an int, and a datetime a date."""
