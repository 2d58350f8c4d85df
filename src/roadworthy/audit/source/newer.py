"""Parse Python, also where it is newer than the Python that runs.

What only later versions read is rewritten, line for line, to something that says the
same to a reader of names: the line numbers stay.
"""

import ast
import re
import tokenize
import warnings
from collections.abc import Callable
from typing import Final

__all__ = ["Unreadable", "parse"]


class Unreadable(ValueError):
    """A file that is no Python, as far as this version can tell; the text says where."""


def parse(source: bytes) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        Unreadable: It is no Python, also after rewriting what is newer.
    """
    nul = source.find(b"\0")
    if nul >= 0:
        raise Unreadable(f"NUL bytes are no Python (line {source.count(_LINE, 0, nul) + 1})")
    try:
        _encoding(source)
        return _parse(source)
    except SyntaxError as error:
        return _parse_newer(source, error)
    except ValueError as error:
        raise Unreadable(str(error)) from error


_LINE: Final = b"\n"


def _encoding(source: bytes) -> str:
    """Return what a file says that its encoding is.

    Raises:
        Unreadable: Python knows no such encoding, or the file is in another one.
    """
    end = source.find(_LINE, source.find(_LINE) + 1) + 1
    lines = source[: end or len(source)].splitlines(keepends=True)[:2]
    try:
        return tokenize.detect_encoding(iter(lines).__next__)[0]
    except SyntaxError as error:
        at = next((n for n, line in enumerate(lines, 1) if b"coding" in line), 1)
        raise Unreadable(f"{error.msg} (line {at})") from error


def _parse(source: bytes | str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" is not ours to say
        return ast.parse(source)


def _parse_newer(source: bytes, first: SyntaxError) -> ast.Module:
    try:
        text = source.decode()
    except UnicodeDecodeError:
        raise Unreadable(_where(first)) from first
    for rewrite in _REWRITES:
        text = rewrite(text)
        try:
            return _parse(text)
        except (SyntaxError, ValueError):
            continue
    raise Unreadable(_where(first)) from first


def _type_aliases(text: str) -> str:
    """`type Name[T] = value` becomes `Name = value` (PEP 695)."""
    return re.sub(r"(?m)^(\s*)type (\w+)(?:\[[^\]\n]*\])?(\s*=)(?!=)", r"\1\2\3", text)


def _type_parameters(text: str) -> str:
    """`def f[T](` becomes `def f(`, `class A[T]:` becomes `class A:` (PEP 695)."""
    pieces: list[str] = []
    at = 0
    while (found := _GENERIC.search(text, at)) is not None:
        end = _end_of_brackets(text, found.end())
        lines = text.count("\n", found.end(), end)
        pieces += [text[at : found.end() - 1], "\\\n" * lines]
        at = end
    return "".join([*pieces, text[at:]])


def _end_of_brackets(text: str, at: int) -> int:
    depth = 1
    while at < len(text) and depth:
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        at += 1
    return at


_GENERIC: Final = re.compile(r"(?m)^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+\w+\[")


def _bare_excepts(text: str) -> str:
    """`except A, B:` becomes `except (A, B):` (PEP 758)."""
    return re.sub(r"(?m)^(\s*except\*?\s+)([\w.]+(?:\s*,\s*[\w.]+)+)\s*,?\s*:", r"\1(\2):", text)


def _template_strings(text: str) -> str:
    """`t"…"` becomes `f"…"` (PEP 750)."""
    return re.sub(r"(?<![\w\"'])t(?=[\"'])", "f", text)


def _nested_f_strings(text: str) -> str:
    """`f"{d["key"]}"`, also over several lines, becomes `f\"\"\"{d["key"]}\"\"\"` (PEP 701)."""
    pieces: list[str] = []
    at = 0
    while (found := _TOKEN.search(text, at)) is not None:
        start, end = found.span()
        pieces.append(text[at:start])
        quote = found["quote"]
        if quote is None:  # a comment
            pieces.append(found[0])
        else:
            is_format = "f" in found["prefix"].lower()
            closed = _end_of_string(text, end, quote, is_format=is_format)
            pieces.append(_as_triple(text[start:closed], found["prefix"], quote, is_format))
            end = closed
        at = end
    return "".join([*pieces, text[at:]])


def _as_triple(literal: str, prefix: str, quote: str, is_format: bool) -> str:
    inside = literal[len(prefix) + len(quote) : -len(quote)]
    if not is_format or len(quote) > 1 or not (quote in inside or "\n" in inside):
        return literal
    triple = "'''" if inside.endswith('"') or '"""' in inside else '"""'
    return f"{prefix}{triple}{inside}{triple}"


def _end_of_string(text: str, at: int, quote: str, *, is_format: bool) -> int:
    """Return where a string ends, with nested quotes as Python 3.12 allows them."""
    while at < len(text):
        if text.startswith(quote, at):
            return at + len(quote)
        at = _end_of_part(text, at, is_format=is_format)
    return len(text)


def _end_of_part(text: str, at: int, *, is_format: bool) -> int:
    """Return where an escape, a replacement field, or else one character of a string ends."""
    pair = text[at : at + 2]
    if pair.startswith("\\") or (is_format and pair in {"{{", "}}"}):
        return at + 2
    if is_format and pair.startswith("{"):
        return _end_of_field(text, at + 1)
    return at + 1


def _end_of_field(text: str, at: int) -> int:
    """Return where a replacement field ends; braces inside its strings do not count."""
    depth = 1
    while at < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += _skipped(text, at)
    return at


def _skipped(text: str, at: int) -> int:
    """Return how much of a replacement field to step over: a whole string, or a character."""
    found = _TOKEN.match(text, at)
    if found is None or found["quote"] is None:
        return 1
    is_format = "f" in found["prefix"].lower()
    return _end_of_string(text, found.end(), found["quote"], is_format=is_format) - at


_TOKEN: Final = re.compile(
    r"""#[^\n]*|(?<!\w)(?P<prefix>[rRbBuUfFtT]{0,2})(?P<quote>\"\"\"|\'\'\'|"|')"""
)
_REWRITES: Final[tuple[Callable[[str], str], ...]] = (
    _type_aliases,
    _type_parameters,
    _bare_excepts,
    _template_strings,
    _nested_f_strings,
)


def _where(error: SyntaxError) -> str:
    return f"{error.msg} (line {error.lineno})"
