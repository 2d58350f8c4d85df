"""`FileType`: how a type of file is told by its bytes, and judged as they stream.

    class Hello:
        def __init__(self) -> None:
            self.size = 0

        def feed(self, data: Data) -> None:
            self.size += len(data)
            if self.size > 1000:
                raise Rejected("too_long", "A greeting has at most 1000 bytes.")

        def finish(self) -> None:
            pass

    HELLO = FileType("text/x-hello", ".hello", lambda head: head.startswith(b"hello"), Hello)

A value like this goes into `Upload(accept=...)` beside ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from roadworthy.uploads.arguments import check_text, check_type
from roadworthy.uploads.types.inspecting.media_types import essence, is_among

__all__ = ["HEAD_BYTES", "Data", "FileType", "Inspector", "Rejected", "ResolvingInspector"]

HEAD_BYTES: Final = 4096
"""How many bytes decide the type of a file: all of them, where it is shorter."""

Data: TypeAlias = bytes | memoryview
"""Some of a file's bytes, as they came from the socket."""


class Rejected(Exception):
    """The file is broken or dangerous: it is answered 422 `FILE_REJECTED`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)  # both, so that it can come from another process
        self.reason = reason
        """What is wrong, for programs: `trailing_data`, `too_many_pixels`."""
        self.message = message
        """The same for people. The client reads it: never quote the file."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class Inspector(Protocol):
    """Judges one file in one pass, in a thread, with memory that does not grow."""

    def feed(self, data: Data, /) -> None:
        """Judge the next bytes, cut anywhere; keep no reference to them.

        Raises:
            Rejected: The file is broken or dangerous.
        """
        ...

    def finish(self) -> None:
        """End the file, and judge it as a whole.

        Raises:
            Rejected: The file is not whole, or is dangerous.
        """
        ...


class ResolvingInspector(Inspector, Protocol):
    """Judges a file that may be of several types, and tells which it is."""

    kind: "FileType"
    """Once the file is whole."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of file: a value to list in `Upload(accept=...)`.

    Make one of your own for what is not among ours.
    """

    media_type: str
    """What it is called when it is stored and served: `image/png`."""
    extension: str
    """What its names end in, with the dot."""
    matches: Callable[[bytes], bool]
    """Tell by the first `HEAD_BYTES` bytes whether a file claims to be of this type."""
    inspector: Callable[[], Inspector]
    """Make what judges one file."""
    aliases: tuple[str, ...] = ()
    """Other media types that clients declare for it; `*` stands for anything: `text/*`."""
    breadth: int = 0
    """Of several types that match, the one with the least is taken: CSV before plain text."""
    together: "Callable[[Sequence[FileType], FileType], ResolvingInspector] | None" = None
    """Make what judges a file that may be of several types that have this in common.

    Given all types that are taken, and the likeliest. Only the whole file tells.
    """

    def __post_init__(self) -> None:
        """Check the arguments of a file type.

        Raises:
            TypeError: A member is of another type.
            ValueError: The media type or the extension has not its form.
        """
        check_text("media_type", self.media_type, example="image/png")
        check_text("extension", self.extension, example=".png")
        if not self.media_type.partition("/")[2] or not self.extension.startswith("."):
            raise ValueError(
                f'A FileType has a media type such as "image/png" and an extension with its dot, '
                f'such as ".png", not {self.media_type!r} and {self.extension!r}.'
            )
        for name in ("matches", "inspector"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} of a FileType is a function: see its docstring.")
        check_type("aliases", self.aliases, tuple, "a tuple", '("image/x-png",)')
        for alias in self.aliases:
            check_text("aliases", alias, example="image/x-png")

    def is_called(self, media_type: str) -> bool:
        """Return whether a declared media type, or range (`image/*`), means this type."""
        return is_among(essence(media_type), self.media_type, self.aliases)

    def called(self, *aliases: str) -> "FileType":
        """Return the same type with more names: `TEXT.called("application/sql")`."""
        return replace(self, aliases=(*self.aliases, *aliases))
