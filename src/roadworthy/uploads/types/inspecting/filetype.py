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

Such a value goes into `Upload(accept=...)`, beside those of the library.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from roadworthy.uploads.arguments import check_text, check_type
from roadworthy.uploads.types.inspecting.media_types import essence, is_among

__all__ = ["HEAD_BYTES", "Data", "FileType", "Inspector", "Rejected", "ResolvingInspector"]

HEAD_BYTES: Final = 4096
"""How many of its first bytes decide the type of a file."""

Data: TypeAlias = bytes | memoryview
"""Bytes of a file, as they came from the socket."""


class Rejected(Exception):
    """The file is broken or dangerous; the answer is 422 `FILE_REJECTED`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)  # both, so that the exception can be pickled
        self.reason = reason
        """The fault, for programs: `trailing_data`, `too_many_pixels`."""
        self.message = message
        """The fault, for people. The client sees the text: never quote the file in it."""

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
            Rejected: The file is not whole, or dangerous.
        """
        ...


class ResolvingInspector(Inspector, Protocol):
    """Judges a file that may be of several types, and tells its type in the end."""

    kind: "FileType"
    """The type, once the file is whole."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of file: a value to list in `Upload(accept=...)`.

    Make one of your own for types that the library does not have.
    """

    media_type: str
    """The media type that files are stored and served with: `image/png`."""
    extension: str
    """The file extension, with the dot."""
    matches: Callable[[bytes], bool]
    """Return, by the first `HEAD_BYTES` bytes, whether a file claims to be of this type."""
    inspector: Callable[[], Inspector]
    """Make the inspector of a file."""
    aliases: tuple[str, ...] = ()
    """Other media types that clients declare; `*` stands for anything: `text/*`."""
    breadth: int = 0
    """Of the types that match, the one with the least breadth is taken: CSV before text."""
    together: "Callable[[Sequence[FileType], FileType], ResolvingInspector] | None" = None
    """Make the inspector of a file that may be of several types with the same `together`.

    Called with those types and the likeliest of them, where only the whole file tells.
    """

    def __post_init__(self) -> None:
        """Check the arguments of a file type.

        Raises:
            TypeError: A member is of another type.
            ValueError: The media type or the extension is malformed.
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
        """Return whether a declared media type or range (`image/*`) means this type."""
        return is_among(essence(media_type), self.media_type, self.aliases)

    def called(self, *aliases: str) -> "FileType":
        """Return the same type with more names: `TEXT.called("application/sql")`."""
        return replace(self, aliases=(*self.aliases, *aliases))
