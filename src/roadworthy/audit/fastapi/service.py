"""`Service`: what is deployed together, for rules that judge it whole."""

from dataclasses import dataclass, field
from pathlib import Path

from roadworthy.audit.source.pins import Pin, named_in, pin_of

__all__ = ["Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """The modules under one folder that says what they depend on."""

    root: Path
    """Where the audited code is."""
    folder: str
    """The folder with `pyproject.toml` or the like, relative to the root."""
    routes: int
    collected: dict[str, list[tuple[str, object]]] = field(
        default_factory=dict[str, list[tuple[str, object]]]
    )
    """What rules collected: by rule, the modules' paths and what was said of each."""

    def asks_for(self, library: str) -> bool:
        """Return whether the files in its own folder name a library."""
        return named_in(self.root / self.folder, library)

    def pin(self, library: str) -> Pin | None:
        """Return which version of a library it runs."""
        return pin_of(self.root, self.folder, library)
