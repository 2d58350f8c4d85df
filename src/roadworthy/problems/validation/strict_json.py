"""Refuse a JSON body at the edge: before a model, a column or a log sees it."""

from typing import Any

from starlette.requests import Request

from roadworthy import _fastapi
from roadworthy._internal.read_json import Json, Unreadable, read_json, unstorable
from roadworthy._request_body import has_content, view_as
from roadworthy.problems.answer import HAS_DOCUMENT
from roadworthy.problems.standard import MalformedBody, UnsupportedMediaType, ValidationFailed
from roadworthy.problems.validation.field_errors import MAX_ERRORS, FieldError, Names, pointer
from roadworthy.problems.validation.route_names import names_on

_NOT_A_RESOURCE = frozenset({"merge-patch+json", "json-patch+json"})
"""JSON that says how to change something: a route that takes it says so."""

__all__ = ["StrictRequest", "parse", "refuse_unstorable", "strict"]


def parse(body: bytes, *, names: Names) -> Json:
    """Parse a JSON body, or refuse it.

    Raises:
        MalformedBody: 400. It is no JSON (RFC 8259), has duplicate names or is too deep.
        ValidationFailed: 422. It holds numbers or text that no database can store.
    """
    try:
        document = read_json(body)
    except Unreadable as error:
        raise MalformedBody(reason=str(error)) from error
    refuse_unstorable(document, body, names=names)
    return document


def refuse_unstorable(document: Json, body: bytes, *, names: Names) -> None:
    """Refuse a document with numbers or text that no database can store.

    Raises:
        ValidationFailed: 422.
    """
    if refused := unstorable(document, body):
        raise ValidationFailed(
            errors=[
                FieldError(pointer=pointer(u.loc, names), code=u.code, message=u.message)
                for u in refused[:MAX_ERRORS]
            ]
        )


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def body(self) -> bytes:
        """Return the body, once its `Content-Type` is known to be JSON.

        Raises:
            UnsupportedMediaType: 415. The `Content-Type` is none that FastAPI parses.
        """
        if not self._declares_json() and await self._has_content():
            raise UnsupportedMediaType
        return await super().body()

    async def _has_content(self) -> bool:
        # Nothing is read, or asked for, of a body that its headers tell of.
        if self.headers.get("content-length", "0") != "0":
            return True
        return await has_content(self)

    def _declares_json(self) -> bool:
        route = _fastapi.route_of(self.scope)
        sent = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not sent and not _fastapi.needs_content_type(route):
            return True
        main, _, sub = sent.partition("/")
        return sent == _fastapi.body_media_type(route) or (
            main == "application"
            and (sub == "json" or sub.endswith("+json"))
            and sub not in _NOT_A_RESOURCE
        )

    async def json(self) -> Any:
        """Return the document, read by `parse`."""
        if not hasattr(self, "_json"):
            self.scope[HAS_DOCUMENT] = True
            names = names_on(_fastapi.route_of(self.scope)).get("body", Names(frozenset()))
            self._json = parse(await self.body(), names=names)
        return self._json


def strict(request: Request) -> Request:
    """Return the same request, read as JSON strictly."""
    return view_as(request, StrictRequest)
