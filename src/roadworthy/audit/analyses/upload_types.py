"""How code decides what type an upload has: by name, header, or bytes."""

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from roadworthy.audit.analyses.uploads import Upload
from roadworthy.audit.dataflow.constant_conditions import never_holds
from roadworthy.audit.dataflow.reach import Reached, calls, reach
from roadworthy.audit.dataflow.starters import in_thread
from roadworthy.audit.dataflow.values import Frame, dotted, follow, handed_over
from roadworthy.audit.fastapi.background import keeps_errors
from roadworthy.audit.source.module import Assigned, Function
from roadworthy.audit.source.names import resolve
from roadworthy.audit.source.nodes import last_name, walk, words

__all__ = ["Decision", "by_declared_type", "by_extension", "looks_inside"]

_LOOKS: Final = (
    *("magic.", "filetype.", "puremagic.", "imghdr.", "PIL.Image.open", "zipfile.", "tarfile."),
    *(
        "pandas.read",
        "json.load",
        "csv.",
        "pypdf",
        "PyPDF2",
        "pymupdf",
        "fitz",
        "docx",
        "pdfplumber",
    ),
    *("openpyxl", "yaml.", "toml", "cv2.", "soundfile.", "pydub", "lxml", "xml.", "numpy.load"),
    *("polars.", "pyarrow", "defusedxml", "cryptography", "librosa", "whisper", "torchaudio"),
)
"""What fails on content that is not what the name says."""
_PARSERS: Final = (
    *("openpyxl.", "pandas.read_excel", "pyxform.", "xlrd.", "PIL.Image.open", "pydub."),
    *("zipfile.ZipFile", "tarfile.open", "pypdf.", "fitz.", "docx."),
)
"""Of those, what is called for files of one kind."""
_TEXTS: Final = frozenset({".py", ".txt", ".csv", ".md", ".yaml", ".yml", ".json", ".js", ".log"})
"""Endings of files in which nothing says what they are."""
_SUITS: Final = re.compile("match|allow|support|accept")
"""How functions are named that say whether a type will do."""
_ENDINGS: Final = frozenset(
    {"endswith", "splitext", "suffix", "suffixes", "split", "partition", "rpartition", "rsplit"}
)
"""Methods, functions and attributes that give or ask for the end of a name."""


@dataclass(frozen=True, eq=False)
class Decision:
    """A place that turns an upload away for its type."""

    frame: Frame
    node: ast.expr

    @property
    def line(self) -> int:
        """Return its line."""
        return self.node.lineno


@dataclass(frozen=True, eq=False)
class _Traced:
    """A function with a text of the client's, and what is made of it."""

    frame: Frame

    @cached_property
    def made(self) -> dict[str, ast.expr | None]:
        """Return the names that are made of it, with the code that makes them."""
        found: dict[str, ast.expr | None] = dict.fromkeys(self.frame.names)
        for node in self.frame.nodes:
            match node:
                case ast.Assign(targets=targets, value=value) if self._mentions(value, found):
                    found |= {dotted(part): value for one in targets for part in _names(one)}
                case ast.NamedExpr(target=target, value=value) if self._mentions(value, found):
                    found[target.id] = value
                case _:
                    pass
        return found

    def _mentions(self, node: ast.AST, known: Collection[str]) -> bool:
        return any(dotted(part) in known for part in walk(node) if isinstance(part, ast.expr))

    def mentions(self, node: ast.AST) -> bool:
        """Return whether an expression is made of it."""
        return self._mentions(node, self.made)

    def asks_for_ending(self, node: ast.AST) -> bool:
        """Return whether an expression, or what made the names in it, takes the end of a name."""
        sources = [self.made.get(dotted(one)) for one in walk(node)]
        return any(map(_takes_ending, (node, *sources)))


def _names(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _names(one)
    elif dotted(target):
        yield target


def _takes_ending(node: ast.AST | None) -> bool:
    """Return whether code has an attribute or a call that gives the end of a name."""
    parts = () if node is None else walk(node)
    return any(_is_ending(last_name(one)) for one in parts)


def _is_ending(name: str) -> bool:
    return name in _ENDINGS or not {"ext", "extension", "suffix"}.isdisjoint(words(name))


def by_extension(upload: Upload) -> Decision | None:
    """Return where an upload is turned away for the end of its name."""
    texts = _text_parameters(upload)
    for traced in _traced(upload, "filename", also=texts):
        for node in _refusals(traced):
            unfit = _is_never(node, traced.frame) or _names_texts(node)
            if traced.asks_for_ending(node) and not unfit:
                return Decision(traced.frame, node)
    return None


def _is_never(test: ast.expr, frame: Frame) -> bool:
    """Return whether a condition never holds, since the caller gave nothing to compare with."""
    return never_holds(test, frame.function, frame.chain)


def _names_texts(test: ast.expr) -> bool:
    """Return whether all endings that a condition names are those of plain texts."""
    values = [one.value for one in walk(test) if isinstance(one, ast.Constant)]
    named = {str(one) for one in values if str(one).startswith(".")}
    return bool(named) and named <= _TEXTS


def by_declared_type(upload: Upload) -> Decision | None:
    """Return where an upload is turned away for the type that the client declares."""
    for traced in _traced(upload, "content_type"):
        for node in _refusals(traced):
            return Decision(traced.frame, node)
    return None


def looks_inside(upload: Upload, decided: Decision) -> bool:
    """Return whether something that knows types gets to see the bytes."""
    starts = [upload.function, *([upload.route.function] if upload.route is not None else [])]
    if any(_looks(one) for function in starts for one in reach(function)):
        return True
    frames = (*upload.frames, decided.frame)
    return _is_parsed_later(frames) or any(map(_knows_bytes, frames))


def _knows_bytes(frame: Frame) -> bool:
    """Return whether a function, or a function it calls, knows how files begin."""
    if any(map(_has_bytes, frame.nodes)):
        return True
    for one in calls(frame.function):
        handed = handed_over(one)
        called = handed[0] if handed is not None else one.ref and one.ref.function
        if called and (_has_table(called) or (handed and any(map(_has_bytes, _all_of(called))))):
            return True
    return False


def _all_of(function: Function) -> Iterator[ast.AST]:
    return walk(function.node)


def _has_table(function: Function) -> bool:
    """Return whether a function uses a constant of its file with the first bytes of files."""
    used = {node.id for node in walk(function.node) if isinstance(node, ast.Name)}
    assigned = (
        one
        for name in used
        for one in function.module.names.get(name, ())
        if isinstance(one, Assigned) and one.value is not None
    )
    return any(_has_bytes(node) for one in assigned for node in walk(one.value or ast.Pass()))


def _has_bytes(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bytes) and len(node.value) > 1


def _is_parsed_later(frames: tuple[Frame, ...]) -> bool:
    """Return whether a file that gets an upload parses such, perhaps in a task."""
    modules = {frame.function.module for frame in frames}
    functions = (function for module in modules for function in module.functions)
    return any(
        _runs(one).startswith(_PARSERS) and not keeps_errors(one.call, one.scope)
        for function in functions
        for one in calls(function)
    )


def _runs(reached: Reached) -> str:
    """Return the name of what a call runs, if in a thread: `to_thread(Image.open, file)`."""
    handed = in_thread(reached.call.node, reached.scope)
    found = None if handed is None else resolve(handed.func, reached.scope)
    return reached.name if found is None else found.name


def _looks(reached: Reached) -> bool:
    name = _runs(reached)
    if not name.startswith(_LOOKS) and not name.endswith((".decode", ".is_zipfile")):
        return False
    return not any(keeps_errors(one.call, one.scope) for one in (*reached.chain, reached))


def _traced(
    upload: Upload, attribute: str, also: frozenset[str] = frozenset()
) -> Iterator[_Traced]:
    for frame in upload.frames:
        names = frozenset(f"{name}.{attribute}" for name in frame.names)
        if not frame.chain:
            names |= also
        for one in follow(frame.function, names, hops=2):
            yield _Traced(Frame(one.function, one.names, (*frame.chain, *one.chain)))


def _text_parameters(upload: Upload) -> frozenset[str]:
    """Return the form fields named like a name: what a client calls its file."""
    return frozenset(
        param.name
        for param in upload.function.params
        if param.name in {"name", "filename", "file_name"} and param.name not in upload.names
    )


def _refusals(traced: _Traced) -> Iterator[ast.expr]:
    """Return the conditions, made of the text, that turn a request away."""
    for node in traced.frame.nodes:
        match node:
            case ast.If(test=test) if traced.mentions(test) and _refuses(node):
                yield test
            case ast.Return(value=ast.expr() as value) if traced.frame.chain:
                if traced.mentions(value) and _chooses(value):
                    yield value
            case _:
                pass


def _refuses(node: ast.If) -> bool:
    if _denies(node.test):
        return _is_refusal(node.body)
    return _chooses(node.test) and _is_refusal(node.orelse)


def _is_refusal(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise | ast.Return | ast.Continue)


def _denies(test: ast.expr) -> bool:
    """Return whether a condition holds for what is not of some types."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _chooses(operand)
        case ast.Compare(ops=[ast.NotIn()]):
            return True
        case ast.Compare(ops=[ast.NotEq()], comparators=[ast.Constant(value=str())]):
            return True
        case ast.BoolOp(values=values):
            return any(_denies(one) for one in values)
        case _:
            return False


def _compares_texts(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return isinstance(node.ops[0], ast.In)
    return last_name(node) in {"endswith", "startswith"}


def _chooses(test: ast.expr) -> bool:
    """Return whether a condition holds for what is of some types."""
    match test:
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in {"endswith", "startswith"}:
            return True
        case ast.Call(func=ast.Name(id="any")):
            return any(map(_compares_texts, walk(test)))
        case ast.Compare(ops=[ast.In()]):
            return not isinstance(test.left, ast.Constant)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return _SUITS.search(name) is not None
        case ast.BoolOp(values=values):
            return any(_chooses(one) for one in values)
        case _:
            return False
