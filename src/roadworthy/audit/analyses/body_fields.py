"""`Held`: what an expression holds of a request's body, sent or not.

`holding` finds it for each expression, `omitted` follows it to where it is written.
"""

import ast
from dataclasses import dataclass, replace
from typing import Final

from roadworthy.audit.fastapi import models
from roadworthy.audit.source.module import Class
from roadworthy.audit.source.nodes import walk

__all__ = ["NOTHING", "Guards", "Held", "dumped", "made", "of_body", "optional"]

NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Held:
    """What an expression holds of a body: one value, a dict of them, or an object."""

    fields: frozenset[str] = NONE
    """Fields whose default it may be, or hold, where the request did not name them."""
    kept: frozenset[str] = NONE
    """Fields for which None means that what is stored is kept."""
    nulls: frozenset[str] = NONE
    """Fields for which it may be, or hold, a null that the request has sent."""
    many: bool = False
    """Whether it is a dict of fields, rather than the value of one."""
    model: Class | None = None
    """The class of the object that it is: the body's, or one that is made of it."""
    unset: frozenset[str] = NONE
    """Fields of that object that have their default where nobody has given them."""
    named: tuple[tuple[str, str], ...] = ()
    """What a dict or an object calls fields by other names: (its name, the field)."""
    asks: bool = False
    """Whether it is the names of what was sent: `body.model_fields_set`."""
    clears: bool = False
    """Whether an empty value is written as None: `body.note or None`."""

    @property
    def nothing(self) -> bool:
        """Return whether it holds nothing of the body."""
        return self.model is None and not (self.every or self.asks)

    @property
    def every(self) -> frozenset[str]:
        """Return the fields that it holds in whatever way."""
        return self.fields | self.kept | self.nulls

    @property
    def is_value(self) -> bool:
        """Return whether it is the value of a field."""
        return self.model is None and not (self.many or self.asks or self.nothing)

    @property
    def plain(self) -> "Held":
        """Return the values in an object or a dict, as one of many."""
        return replace(self, model=None, unset=NONE, asks=False)

    def without(self, sent: frozenset[str]) -> "Held":
        """Return it with some fields known to be named by the request."""
        return replace(self, fields=self.fields - sent, unset=self.unset - sent)

    def valued(self, tested: frozenset[str]) -> "Held":
        """Return it where some fields are left out for being None."""
        kept = self.kept | ((self.fields | self.nulls) & tested)
        fields, nulls = self.fields - tested, self.nulls - tested
        return replace(self, fields=fields, nulls=nulls, kept=kept)

    def changed(self) -> "Held":
        """Return what is left of a value that was made into another: `note = tidy(note)`."""
        return NOTHING if self.many or self.model is not None else Held(kept=self.kept)

    def emptied(self, body: frozenset[str]) -> "Held":
        """Return it where None is written in place of what was left out."""
        return replace(self, fields=self.fields | (self.kept & body), kept=NONE)

    def only(self, named: frozenset[str], *, keeps: bool) -> "Held":
        """Return it with some of its names alone, or without them."""
        of = frozenset(self.field(name) for name in named)
        wanted = self.every & of if keeps else self.every - of
        return replace(
            self,
            fields=self.fields & wanted,
            kept=self.kept & wanted,
            nulls=self.nulls & wanted,
        )

    def joined(self, other: "Held") -> "Held":
        """Return a dict or value that holds both."""
        return Held(
            self.fields | other.fields,
            self.kept | other.kept,
            self.nulls | other.nulls,
            many=self.many or other.many,
            named=(*self.named, *other.named),
        )

    def either(self, other: "Held") -> "Held":
        """Return what is held after two branches: only what both would write."""
        if self == other or other.nothing:
            return self
        if self.nothing:
            return other
        both = replace(self, kept=self.kept | other.kept, unset=self.unset & other.unset)
        return replace(both, fields=self.fields & other.fields, nulls=self.nulls & other.nulls)

    def field(self, name: str) -> str:
        """Return the field of the body that it has under a name."""
        return next((of for called, of in self.named if called == name), name)

    def picked(self, name: str) -> "Held":
        """Return its value of one name: `dump["title"]`, `body.title`."""
        one = frozenset({self.field(name)})
        return Held((self.fields | self.unset) & one, self.kept & one, self.nulls & one)

    def under(self, name: str) -> "Held":
        """Return a dict that has this value under a name: `{"title": body.name}`."""
        renamed = tuple((name, one) for one in self.every if one != name)
        return replace(self.plain, many=True, named=renamed if len(self.every) == 1 else self.named)

    def column(self, field: str) -> str:
        """Return the name that it has a field of the body under."""
        return next((called for called, of in self.named if of == field), field)


NOTHING: Final = Held()
"""What most expressions hold."""


@dataclass(slots=True)
class Guards:
    """What has been tested where the code stands."""

    sent: frozenset[str] = NONE
    """Fields that the request has named, by `model_fields_set` or a key of a dump."""
    valued: frozenset[str] = NONE
    """Fields that are not None, or true."""
    refused: frozenset[str] = NONE
    """Fields whose null was answered with an error."""

    def both(self, other: "Guards") -> "Guards":
        """Return what two conditions say together."""
        return Guards(
            self.sent | other.sent, self.valued | other.valued, self.refused | other.refused
        )

    def all_sent(self) -> "Guards":
        """Return them where a null has been refused: what has a value was sent."""
        return Guards(self.sent | self.valued, refused=self.sent | self.valued)

    def applied(self, held: Held) -> Held:
        """Return what a value holds where all of this was tested."""
        value = held.without(self.sent).valued(self.valued)
        return replace(value, kept=value.kept - self.sent, nulls=value.nulls - self.refused)


def optional(model: Class) -> frozenset[str]:
    """Return the fields whose absence gives a default that may be written."""
    return frozenset(
        one.name
        for one in models.fields(model).values()
        if not one.required and not one.default_is_missing
    )


def of_body(model: Class) -> Held:
    """Return what the body itself holds."""
    nulls = frozenset(one.name for one in models.fields(model).values() if one.nullable)
    return Held(nulls=nulls - models.refusing_null(model), model=model, unset=optional(model))


def made(cls: Class, given: Held) -> Held:
    """Return what an object holds that is made with some values of the body."""
    if not models.is_model_class(cls):
        return replace(given, model=cls, many=False)
    known = models.fields(cls)
    refused = models.refusing_null(cls)
    nulls = frozenset(
        one
        for one in given.nulls
        if given.column(one) not in known
        or (known[given.column(one)].nullable and given.column(one) not in refused)
    )
    return replace(given, model=cls, many=False, nulls=nulls, unset=optional(cls))


def dumped(held: Held, call: ast.Call, body: frozenset[str]) -> Held:
    """Return what `model_dump(...)` holds; `body` are the optional fields of the body."""
    options = {one.arg: one.value for one in call.keywords}
    if None in options:
        return NOTHING
    whole = replace(held.plain, many=True)
    none = _may_be(options.get("exclude_none")) or _may_be(options.get("exclude_defaults"))
    if not _may_be(options.get("exclude_unset")):
        whole = replace(whole, fields=whole.fields | (held.unset & body))
    elif not _is_true(options["exclude_unset"]):
        whole = replace(whole, fields=NONE)
    if none:
        whole = whole.valued(whole.every)
    for name, keeps in (("exclude", False), ("include", True)):
        if name in options:
            whole = whole.only(_strings(options[name]), keeps=keeps)
    return whole


def _may_be(option: ast.expr | None) -> bool:
    return option is not None and not (isinstance(option, ast.Constant) and not option.value)


def _is_true(option: ast.expr) -> bool:
    return isinstance(option, ast.Constant) and option.value is True


def _strings(node: ast.expr) -> frozenset[str]:
    return frozenset(
        one.value
        for one in walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )
