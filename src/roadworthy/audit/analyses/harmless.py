"""Whether a `try` fails with texts of the client or the project only."""

import ast
from typing import Final

from roadworthy.audit.fastapi.models import is_model
from roadworthy.audit.source import loggers, names
from roadworthy.audit.source.flow import Call, Event
from roadworthy.audit.source.module import Function
from roadworthy.audit.source.nodes import last_name, mentions, walk
from roadworthy.audit.source.ref import Ref

__all__ = ["only_own_texts"]

_DEEPEST: Final = 2
"""As many functions of the project are looked into."""


def only_own_texts(tried: ast.Try, function: Function) -> bool:
    """Return whether nothing in a `try` fails with a text that a stranger wrote."""
    flow = function.flow
    inside = [one for one in (*flow.calls, *flow.withs, *flow.yields) if _is_in(one, tried)]
    return all(isinstance(one, Call) and _is_harmless(one, function, _DEEPEST) for one in inside)


def _is_in(event: Event, tried: ast.Try) -> bool:
    return any(one is tried for one in event.tries())


def _is_harmless(call: Call, function: Function, depth: int) -> bool:
    func = call.node.func
    ref = names.resolve(func, function)
    if ref is None:
        return isinstance(func, ast.Attribute) and not call.awaited and _is_plain(func, function)
    if ref.function is not None:
        return depth > 0 and _does_no_harm(ref.function, depth - 1)
    return _is_known(ref, call.node)


def _is_plain(func: ast.Attribute, function: Function) -> bool:
    """Return whether a method of something unknown is one that texts or logs have."""
    return func.attr in _OF_TEXTS or loggers.is_log(func.value, function)


def _does_no_harm(function: Function, depth: int) -> bool:
    if not {last_name(one) for one in function.node.decorator_list} <= _PLAIN:
        return False
    if function.flow.withs or function.flow.yields:
        return False
    if _is_stub(function):  # who inherits the class may do anything
        return False
    said = {id(node) for event in function.flow.raises for node in walk(event.node)}
    own = (call for call in function.flow.calls if id(call.node) not in said)
    return all(_is_harmless(call, function, depth) for call in own)


_PLAIN: Final = frozenset({"staticmethod", "classmethod"})


def _is_stub(function: Function) -> bool:
    body = [one for one in function.node.body if not isinstance(one, ast.Expr | ast.Pass)]
    return not body or (isinstance(body[0], ast.Raise) and mentions(body[0], "NotImplementedError"))


def _is_known(ref: Ref, call: ast.Call) -> bool:
    if ref.cls is not None:
        spread = any(one.arg is None for one in call.keywords)  # of what, nobody knows
        return not ref.is_instance and is_model(ref) and not spread
    if ref.name == "PIL.Image.open":  # names a path, where it is given one
        return all(isinstance(one, ast.Call) for one in call.args)
    owner, _, method = ref.name.rpartition(".")
    if owner == "PIL.Image.Image":  # one that was opened from bytes
        return method in _OF_TEXTS
    return ref.name.startswith(_HARMLESS) and ref.name not in _HARMFUL


# Not `get`, `add` or `search`: clients, sessions and indexes have those, too.
_OF_TEXTS: Final = frozenset(
    {
        *("encode", "decode", "strip", "lower", "upper", "split", "partition", "replace", "join"),
        *("startswith", "endswith", "format", "fullmatch", "group", "items", "keys", "append"),
        *("isoformat", "hexdigest", "verify"),
    }
)
_HARMLESS: Final = (
    *("builtins.", "json.", "base64.", "binascii.", "uuid.", "re.", "math.", "decimal."),
    *("datetime.", "logging.", "urllib.parse.", "hashlib.", "enum.", "copy.", "string."),
    *(
        "fastapi.Request.",
        "fastapi.HTTPException",
        "io.BytesIO",
        "typing.",
        "collections.",
        "loguru.",
        "structlog.",
        "distutils.",
        *("jose.jwt.", "jwt.decode", "jwt.encode", "jwt.get_unverified_header"),
        "fastapi_csrf_protect.",
        "PIL.Image.Image.verify",
    ),
)
_HARMFUL: Final = frozenset(
    {*(f"builtins.{name}" for name in ("open", "exec", "eval", "compile", "__import__", "input"))}
)
