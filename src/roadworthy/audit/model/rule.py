"""`Rule`: a kind of mistake, how it is found, and what to type instead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from roadworthy.audit.model.finding import Confidence, Severity, Step

if TYPE_CHECKING:  # it imports what finds rules
    from roadworthy.audit.model.place import Place

__all__ = ["Example", "Hit", "Looks", "Rule"]

Looks: TypeAlias = Literal["route", "loop", "dependency", "function", "module", "service"]
"""What a rule is asked about, one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a rule has found, at a place."""

    place: "Place"
    message: str
    confidence: Confidence = Confidence.HIGH
    flow: tuple[Step, ...] = ()
    fixable: bool = False
    since: str = ""
    """The version from which it is true, as `FastAPI 0.118`; empty where it is now."""


@dataclass(frozen=True, slots=True)
class Example:
    """Code that shows a rule, as a file or as several.

    Lines `# file: app/models.py` begin a file; without any it is `app.py`. In bad examples
    a line that ends with `# found` is where the finding is expected, and in no other line.
    """

    code: str
    note: str = ""
    """What to see in it, in a sentence."""

    def files(self) -> dict[str, str]:
        """Return the source of each file."""
        found: dict[str, list[str]] = {}
        path = "app.py"
        for line in self.code.strip("\n").split("\n"):
            if line.startswith("# file: "):
                path = line.removeprefix("# file: ").strip()
                found[path] = []
            else:
                found.setdefault(path, []).append(line)
        return {path: "\n".join(lines) + "\n" for path, lines in found.items()}

    def expected(self) -> set[tuple[str, int]]:
        """Return the files and lines that are marked."""
        return {
            (path, number)
            for path, source in self.files().items()
            for number, line in enumerate(source.split("\n"), 1)
            if line.rstrip().endswith("# found")
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A kind of mistake, with everything that is said about it."""

    code: str
    """`RW` and three digits."""
    name: str
    severity: Severity
    looks: Looks
    check: Callable[[Any], Iterator[Hit]]
    """Gets what `looks` names: a Route, Dependency, Function, Module or Service.

    With "loop" that is a Route, or an Entry: sockets, middleware, exception handlers.
    """
    collect: Callable[[Any], object] | None = None
    """What a rule about services wants to know of each Module; it must pickle, or be None."""
    summary: str
    """One sentence, for lists."""
    why: str
    """What happens to requests, and when; Markdown."""
    mend: str
    """One or two lines for the report: what to type, in plain FastAPI."""
    ours: str = ""
    """What of this library does it; Markdown."""
    bad: tuple[Example, ...] = ()
    good: tuple[Example, ...] = ()
    sources: bytes = b""
    """A pattern of files that it is asked about, beside those in which FastAPI is named."""
    default: bool = True
    """Whether it is asked where nobody selects it."""
