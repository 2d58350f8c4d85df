"""`objects_within`: find the objects that an object holds, at any depth.

ASGI layers hold the next layer as `self.app`, in a slot, a closure, a partial, a list or the
object of a bound method. Classes, modules and globals are left out: many others share them.
"""

import functools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Final, cast

__all__ = ["objects_within"]

_MOST: Final = 2_000
"""The most objects to visit: a layer is small, and a large cache holds no layer."""

_LEAVES: Final = (str, bytes, bytearray, int, float, complex, type(None), type, ModuleType)


def objects_within(root: object, *, stop: type | tuple[type, ...] = ()) -> Iterator[object]:
    """Yield `root` and all that hangs on it, what is nearest first.

    Objects of `stop` are yielded, and not looked into.
    """
    seen, waiting = {id(root)}, deque([root])
    while waiting and len(seen) < _MOST:
        here = waiting.popleft()
        yield here
        if isinstance(here, stop):
            continue
        for child in _children(here):
            if not isinstance(child, _LEAVES) and id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _children(holder: Any) -> Iterator[object]:
    match holder:
        case FunctionType():
            yield from _cells(holder)
            yield from holder.__dict__.values()
        case MethodType():
            yield holder.__self__
            yield holder.__func__
        case functools.partial():
            made = cast("functools.partial[Any]", holder)
            yield made.func
            yield from made.args
            yield from made.keywords.values()
        case Mapping():
            yield from list(cast("Mapping[Any, object]", holder).values())
        case Sequence() | set() | frozenset():
            yield from list(cast("Sequence[object]", holder))
        case _:
            yield from _attributes(holder)


def _cells(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a variable that has no value yet
            yield cell.cell_contents


def _attributes(holder: object) -> Iterator[object]:
    # Past __getattr__ and properties: to ask for these could do anything.
    with suppress(AttributeError):
        yield from list(object.__getattribute__(holder, "__dict__").values())
    for kind in type(holder).__mro__:
        for slot in vars(kind).values():
            if isinstance(slot, MemberDescriptorType):
                with suppress(AttributeError):  # a slot that has no value yet
                    yield slot.__get__(holder)
