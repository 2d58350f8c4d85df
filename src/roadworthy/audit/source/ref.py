"""`Ref`: what an expression stands for, as far as the code tells."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from roadworthy.audit.source.module import Class, Function, Module

__all__ = ["Entity", "Ref"]

Entity: TypeAlias = Module | Class | Function
"""What a project defines."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Something that a name leads to: of the project, or of a library."""

    name: str
    """Dotted, such as `requests.post`; of the project's own, such as `app/deps.py:get_db`."""
    entity: Entity | None = None
    """What it is in the project, or None for what libraries define."""
    is_instance: bool = False
    """Whether it is an instance of what the name says."""
    args: "tuple[Ref | None, ...]" = ()
    """What it is generic over: `list[User]`."""

    @classmethod
    def of(cls, entity: Entity) -> "Ref":
        """Return what stands for something of the project."""
        return cls(f"{entity.module.path}:{entity.qualname}", entity)

    @property
    def instance(self) -> "Ref":
        """Return an instance of it."""
        return replace(self, is_instance=True)

    @property
    def type(self) -> "Ref":
        """Return what it is an instance of."""
        return replace(self, is_instance=False)

    @property
    def function(self) -> Function | None:
        """Return the function of the project that it is."""
        return self.entity if isinstance(self.entity, Function) else None

    @property
    def cls(self) -> Class | None:
        """Return the class of the project that it is, or is an instance of."""
        return self.entity if isinstance(self.entity, Class) else None

    def member(self, name: str) -> "Ref":
        """Return a library's member of it."""
        return Ref(f"{self.name}.{name}")
