"""`Problem`: an error that a client may see, declared once.

A subclass is the whole declaration: its name gives the code, its annotations
give the members, and checkers reject a raise with a missing or wrong one.

    class InsufficientStock(Problem):
        \"\"\"The warehouse holds less than was asked for.\"\"\"

        status = 409
        title = "Not enough stock"
        detail = "Only {available} of {item_id} are left."
        item_id: str
        available: int

    raise InsufficientStock(item_id="item-001", available=3)
"""

import inspect
import re
from collections.abc import Mapping
from string import Formatter
from typing import Any, ClassVar, Final, cast, dataclass_transform, get_origin, get_type_hints

from fastapi import HTTPException

__all__ = ["Problem"]

_RESERVED = frozenset(
    {"status", "title", "detail", "code", "headers", "status_code", "args", "details", "members"}
    | {"details_type", "member_types", "reason_for_log"}
)


@dataclass_transform(kw_only_default=True)
class Problem(HTTPException):
    """An error for clients: raise it anywhere a request is being served.

    Class attributes: `status` is the HTTP status; `title` a short summary that is
    the same every time; `detail` the sentence for this time, with members in braces;
    `code` the constant that clients compare, made from the class's name unless given;
    `headers` are sent with it, members in braces there too. Annotations are members:
    keyword-only, required unless they have a default, and sent to the client in
    `details` (`errors` in RFC 9457): never make a member of what a client may not see.

    It is FastAPI's `HTTPException`, so it also works where `problems.install` was
    never called.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = ""
    code: ClassVar[str] = ""
    detail: str = ""
    headers: Mapping[str, str] | None = None
    details_type: ClassVar[Any] = None
    """The type of the objects in `details`, where `details()` is overridden."""
    _members: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = cls.__dict__.get("code") or _code_for(cls.__name__)
        cls.title = cls.__dict__.get("title") or _words(cls.__name__)
        cls._members = (*cls._members, *_own_members(cls))
        _check(cls)

    def __init__(self, **members: Any) -> None:
        self._set_members(members)
        # The class's text is a template; the instance's is what was made of it.
        detail = type(self).detail.format_map(self.members()) or self.title
        super().__init__(self.status, detail, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        templates = type(self).headers or {}
        return {name: text.format_map(self.members()) for name, text in templates.items()}

    def _set_members(self, given: Mapping[str, Any]) -> None:
        names = self._members
        missing = [n for n in names if n not in given and not hasattr(type(self), n)]
        unknown = [n for n in given if n not in names]
        if missing or unknown:
            raise TypeError(
                f"{type(self).__name__}() takes {', '.join(names) or 'no members'}; "
                f"missing: {missing or 'none'}, unknown: {unknown or 'none'}"
            )
        for name in names:
            setattr(self, name, given.get(name, getattr(type(self), name, None)))

    def members(self) -> dict[str, Any]:
        """Return the members and their values, in the order of their declaration."""
        return {name: getattr(self, name) for name in self._members}

    def details(self) -> list[Any]:
        """Return the `details` of the answer: by default one object of the members."""
        members = self.members()
        return [members] if members else []

    def reason_for_log(self) -> str | None:
        """Return which case of the error this is, as a code; `ProblemLog` keeps that.

        Letters in lower case, digits, `_`, `-` and `.`, and never a text that a client sent.
        """
        return None

    @classmethod
    def member_types(cls) -> dict[str, Any]:
        """Return the members' names and types."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hints[name] for name in cls._members}

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"


def _own_members(cls: type[Problem]) -> list[str]:
    names = [
        name
        for name, hint in inspect.get_annotations(cls).items()
        if not name.startswith("_") and not _is_classvar(hint)
    ]
    if clash := _RESERVED.intersection(names):
        raise TypeError(
            f"{cls.__name__}: {', '.join(sorted(clash))} cannot be a member. "
            "Rename it, or drop the annotation to set the class attribute."
        )
    return names


_ERRORS: Final = range(400, 600)
"""Statuses of errors (RFC 9110 §15.5 and §15.6)."""


def _check(cls: type[Problem]) -> None:
    """Check that status, texts and headers can be sent."""
    status = cast("object", cls.status)  # an application may have written anything
    if isinstance(status, bool) or not isinstance(status, int) or status not in _ERRORS:
        raise TypeError(f"{cls.__name__}: status is {status!r}. Write a number: status = 409.")
    texts: dict[str, object] = {"detail": cls.__dict__.get("detail", "")}
    texts |= {f"headers[{name!r}]": text for name, text in (cls.headers or {}).items()}
    for place, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{cls.__name__}: {place} is {text!r}. Write a text: {str(text)!r}.")
        _check_braces(cls, place, text)


def _check_braces(cls: type[Problem], place: str, text: str) -> None:
    if cls.members is not Problem.members:
        return  # what it can name is known when it is raised
    try:
        named = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise TypeError(
            f"{cls.__name__}: {place} is {text!r} ({error}). Write {{{{ and }}}} for braces."
        ) from None
    known = cls._members  # pyright: ignore[reportPrivateUsage] - part of the class, below it
    for name in named:
        if (member := re.split(r"[.\[]", name)[0]) not in known:
            raise TypeError(
                f"{cls.__name__}: {place} names {{{name}}}, and the class has no such member. "
                f"{_how_to_name(member)}Write {{{{ and }}}} for braces."
            )


def _how_to_name(member: str) -> str:
    return f"Declare it: `{member}: str`. " if member.isidentifier() else ""


def _is_classvar(hint: Any) -> bool:
    return get_origin(hint) is ClassVar or str(hint).startswith(("ClassVar", "typing.ClassVar"))


def _words(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return words.capitalize()


def _code_for(name: str) -> str:
    return _words(name).replace(" ", "_").upper()
