"""`Ignore`: a comment `# roadworthy: ignore[RW201] reason`, and the lines that it covers."""

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Ignore", "ignores_in"]

_BEGINS: Final = re.compile(r"#\s*roadworthy:\s*ignore\b", re.IGNORECASE)
_WHOLE: Final = re.compile(
    r"#\s*roadworthy:\s*ignore\[\s*(?P<words>[\w-]+(?:\s*,\s*[\w-]+)*)\s*\](?P<reason>[^#]*)",
    re.IGNORECASE,
)
_LINE_ENDS: Final = (tokenize.NL, tokenize.NEWLINE)
_NO_CODE: Final = (
    tokenize.COMMENT,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    *_LINE_ENDS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """An ignore comment, and the lines of the findings that it is about."""

    line: int
    column: int
    text: str
    words: Sequence[str]
    """The codes or names of rules; none where the comment is malformed."""
    first: int
    last: int

    def is_about(self, line: int, end_line: int) -> bool:
        """Return whether the comment is about a finding with these first and last lines."""
        return self.first <= line <= self.last or self.line in {line, end_line}


@dataclass(slots=True)
class _Statement:
    """The lines of one statement, or of the head of one that has a body."""

    first: int
    last: int
    decorator: bool


def ignores_in(source: str) -> list[Ignore]:
    """Return the ignore comments of a file."""
    if "roadworthy:" not in source.lower():
        return []
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []  # the engine says that it cannot be read
    statements = list(_statements(tokens))
    return [_ignore(one, statements) for one in tokens if _is_one(one)]


def _is_one(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.COMMENT and _BEGINS.match(token.string) is not None


def _statements(tokens: Sequence[tokenize.TokenInfo]) -> Iterator[_Statement]:
    current: _Statement | None = None
    for token in tokens:
        if current is None and token.type not in _NO_CODE:
            decorates = token.type == tokenize.OP and token.string == "@"
            current = _Statement(token.start[0], token.end[0], decorates)
        if current is not None and token.type == tokenize.NEWLINE:
            current.last = token.start[0]
            yield current
            current = None


def _ignore(token: tokenize.TokenInfo, statements: Sequence[_Statement]) -> Ignore:
    line, column = token.start
    whole = _WHOLE.match(token.string)
    first, last = _lines(token, statements)
    return Ignore(
        line=line,
        column=column + 1,
        text=token.string.rstrip(),
        words=tuple(re.split(r"\s*,\s*", whole["words"])) if whole else (),
        first=first,
        last=last,
    )


def _lines(token: tokenize.TokenInfo, statements: Sequence[_Statement]) -> tuple[int, int]:
    """Return the lines that a comment is about: its own, a whole statement, or the next one."""
    line = token.start[0]
    for one in statements:
        if one.last == line:  # at the end of a statement: all of it
            return one.first, one.last
        if one.first <= line < one.last:  # within one: this line, or alone, the next
            return line, line + token.line.lstrip().startswith("#")
    return _next(token, statements)


def _next(token: tokenize.TokenInfo, statements: Sequence[_Statement]) -> tuple[int, int]:
    line = token.start[0]
    after = [one for one in statements if one.first > line]
    if not after or after[0].first != line + 1:
        return line, line
    last = next((one.last for one in after if not one.decorator), line)
    return after[0].first, last
