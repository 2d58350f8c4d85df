"""What an `except` clause catches, and how much that says of the exception."""

import ast
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from roadworthy.audit.dataflow.statuses import is_http_exception
from roadworthy.audit.source import exceptions, names
from roadworthy.audit.source.module import Scope
from roadworthy.audit.source.ref import Ref

__all__ = ["Breadth", "breadth", "breadth_of", "catches_http_exceptions", "types"]

EVERYTHING: Final = exceptions.EVERYTHING


class Breadth(IntEnum):
    """How foreign the text of what is caught may be."""

    OWN = 0
    """The project's own exceptions, or HTTPException: written for who reads it."""
    NARROW = 1
    """One kind of mistake, such as ValueError: most are raised with a text for users."""
    LIBRARY = 2
    """Whatever a library says when files, networks or other services fail."""
    DATABASE = 3
    """Statements, values and addresses."""
    ALL = 4
    """Anything at all."""


def types(handler: ast.ExceptHandler, scope: Scope) -> Iterator[Ref | None]:
    """Return what a clause catches; None stands for what cannot be told."""
    if handler.type is None:
        yield Ref("builtins.BaseException")
        return
    yield from _listed(handler.type, scope)


def _listed(node: ast.expr, scope: Scope) -> Iterator[Ref | None]:
    if isinstance(node, ast.Tuple):
        for one in node.elts:
            yield from _listed(one, scope)
        return
    ref = names.resolve(node, scope)
    if ref is not None and ref.name == "builtins.tuple":
        yield from ref.args
        return
    yield ref


def breadth(handler: ast.ExceptHandler, scope: Scope) -> Breadth:
    """Return how much a clause catches."""
    return max(map(breadth_of, types(handler, scope)), default=Breadth.NARROW)


def breadth_of(ref: Ref | None) -> Breadth:
    """Return how foreign the text of an exception may be."""
    if ref is None or ref.name.rpartition(".")[2] in _COUNTS:
        return Breadth.NARROW
    if ref.cls is not None or is_http_exception(ref):
        return Breadth.OWN
    if ref.name in EVERYTHING:
        return Breadth.ALL
    if ref.name in _DATABASE or ref.name.startswith(_DATABASES):
        return Breadth.DATABASE
    return Breadth.LIBRARY if _is_library_s(ref.name) else Breadth.NARROW


def _is_library_s(name: str) -> bool:
    if name in _LIBRARY or name.startswith(_LIBRARIES):
        return True
    return name.startswith(("requests.", "redis.")) and name.endswith(("Error", "Exception"))


def catches_http_exceptions(handler: ast.ExceptHandler, scope: Scope) -> bool:
    """Return whether a clause catches every HTTPException."""
    return any(
        ref is not None and (ref.name in EVERYTHING or ref.name == "fastapi.HTTPException")
        for ref in types(handler, scope)
    )


_COUNTS: Final = frozenset({"NoResultFound", "MultipleResultsFound", "DoesNotExist"})
"""Errors of databases that say how many rows there were, and name nothing."""
_DATABASES: Final = ("sqlalchemy.exc.", "psycopg2.", "psycopg.", "asyncpg.", "pymysql.err.")
_DATABASE: Final = frozenset(
    {
        *(f"sqlite3.{name}" for name in ("Error", "DatabaseError", "OperationalError")),
        "sqlite3.IntegrityError",
        "pymongo.errors.PyMongoError",
        "peewee.PeeweeException",
        "tortoise.exceptions.BaseORMException",
    }
)
_LIBRARIES: Final = (
    *("botocore.exceptions.", "docker.errors."),
    *("kubernetes.client.rest.", "google.api_core.exceptions.", "elasticsearch.exceptions."),
)
_LIBRARY: Final = frozenset(
    {
        *("builtins.OSError", "requests.RequestException", "requests.HTTPError"),
        "requests.ConnectionError",
        *("httpx.HTTPError", "httpx.HTTPStatusError"),  # RequestErrors name no address
        *("aiohttp.ClientError", "aiohttp.ClientConnectorError", "redis.RedisError"),
        *("smtplib.SMTPException", "subprocess.CalledProcessError", "subprocess.SubprocessError"),
        *("kubernetes.client.ApiException", "docker.errors.APIError"),
    }
)
