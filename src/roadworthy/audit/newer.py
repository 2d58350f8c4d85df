"""Parse Python, also where it is newer than the Python that runs.

What only later versions read is rewritten, line for line, to something that says the
same to a reader of names: the line numbers stay.
"""

import ast
import re
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
    try:
        return _parse(source)
    except SyntaxError as error:
        return _parse_newer(source, error)
    except ValueError as error:  # NUL bytes
        raise Unreadable(str(error)) from error


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
    return _without_f_strings(text, first)


def _without_f_strings(text: str, first: SyntaxError) -> ast.Module:
    """Replace, one by one, the lines whose f-strings hold what only Python 3.12 reads."""
    lines = text.split("\n")
    for _ in range(_MOST_LINES):
        try:
            return _parse("\n".join(lines))
        except SyntaxError as error:
            if not _blank_f_string(lines, error):
                raise Unreadable(_where(first)) from first
        except ValueError:
            break
    raise Unreadable(_where(first)) from first


_MOST_LINES: Final = 40
"""After so many lines that cannot be read, a file is something else than Python."""


def _blank_f_string(lines: list[str], error: SyntaxError) -> bool:
    at = (error.lineno or 0) - 1
    if not 0 <= at < len(lines) or not (found := _F_STRING.search(lines[at])):
        return False
    lines[at] = f"{lines[at][: found.start()]}f'...'{_rest_of_f_string(lines[at], found.end())}"
    return True


def _rest_of_f_string(line: str, start: int) -> str:
    """Return what follows an f-string, counting braces as Python 3.12 does."""
    quote, depth, at = line[start - 1], 0, start
    while at < len(line):
        if line[at] in "{}":
            depth = max(0, depth + (1 if line[at] == "{" else -1))
        elif line[at] == quote and not depth:
            return line[at + 1 :]
        at += 1
    return ""


def _type_aliases(text: str) -> str:
    """`type Name[T] = value` becomes `Name = value` (PEP 695)."""
    return re.sub(r"(?m)^(\s*)type (\w+)(?:\[[^\]\n]*\])?(\s*=)(?!=)", r"\1\2\3", text)


def _type_parameters(text: str) -> str:
    """`def f[T](` becomes `def f(`, `class A[T]:` becomes `class A:` (PEP 695)."""
    nested = r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]"
    return re.sub(
        rf"\b((?:def|class)\s+\w+){nested}(?=\s*[(:])",
        lambda found: found[1] + "\n" * found[0].count("\n"),
        text,
    )


def _bare_excepts(text: str) -> str:
    """`except A, B:` becomes `except (A, B):` (PEP 758)."""
    return re.sub(r"(?m)^(\s*except\*?\s+)([\w.]+(?:\s*,\s*[\w.]+)+)\s*,?\s*:", r"\1(\2):", text)


def _template_strings(text: str) -> str:
    """`t"…"` becomes `f"…"` (PEP 750)."""
    return re.sub(r"(?<![\w\"'])t(?=[\"'])", "f", text)


_F_STRING: Final = re.compile(r"""\b[rR]?[fF][rR]?["']""")
_REWRITES: Final[tuple[Callable[[str], str], ...]] = (
    _type_aliases,
    _type_parameters,
    _bare_excepts,
    _template_strings,
)


def _where(error: SyntaxError) -> str:
    return f"{error.msg} (line {error.lineno})"
