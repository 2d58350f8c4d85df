"""`DrawnElements`: count the elements that an SVG draws, through references too.

Ten elements that each draw the next ten times are some billions.
"""

from dataclasses import dataclass, field

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TOO_MANY_ENTRIES

__all__ = ["DrawnElements"]


@dataclass(slots=True, eq=False)
class _Group:
    """An element with an id, which others can refer to."""

    elements: int = 0
    groups: "list[_Group]" = field(default_factory=list["_Group"])
    references: list[str] = field(default_factory=list[str])
    drawn: int | None = None
    is_open: bool = False


class DrawnElements:
    """Collect elements and references, and add up what they draw."""

    def __init__(self, max_drawn: int) -> None:
        self._max_drawn = max_drawn
        self._root = _Group()
        self._path = [self._root]
        """The innermost group that each open element is in."""
        self._named: dict[str, _Group] = {}

    def start(self, name: str | None, references: list[str]) -> None:
        """Begin an element with its id, and the ids that it refers to."""
        group = self._path[-1]
        if name is not None:
            group, parent = _Group(), group
            parent.groups.append(group)
            self._named.setdefault(name, group)
        group.elements += 1
        group.references += references
        self._path.append(group)

    def end(self) -> None:
        """End an element."""
        self._path.pop()

    def finish(self) -> None:
        """Check the number of drawn elements.

        Raises:
            Rejected: It draws too much, or an element itself.
        """
        waiting = [self._root]
        while waiting:
            group = waiting[-1]
            inner = self._inner(group)
            if group.drawn is not None:
                waiting.pop()
            elif not group.is_open:
                group.is_open = True
                waiting += self._unknown(inner)
            else:
                group.drawn = group.elements + sum(one.drawn or 0 for one in inner)
                waiting.pop()
                if group.drawn > self._max_drawn:
                    raise Rejected(TOO_MANY_ENTRIES, "The image draws too many elements.")

    def _inner(self, group: _Group) -> list[_Group]:
        named = self._named
        return group.groups + [named[name] for name in group.references if name in named]

    def _unknown(self, groups: list[_Group]) -> list[_Group]:
        if any(group.is_open and group.drawn is None for group in groups):
            raise Rejected(MALFORMED, "An element of the image draws itself.")
        return [group for group in groups if group.drawn is None]
