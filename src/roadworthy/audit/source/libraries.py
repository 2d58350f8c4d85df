"""What is known of libraries without reading them: names, and what calls return."""

import ast
import builtins
from collections.abc import Callable
from typing import Final

from roadworthy.audit.source import rows
from roadworthy.audit.source.ref import Ref

__all__ = ["canonical", "member", "result"]

BUILTINS: Final = frozenset(dir(builtins))
VAGUE: Final = frozenset(
    {"typing.Any", "builtins.object", "typing.Generic", "typing.Protocol", "abc.ABC", "abc.ABCMeta"}
)
"""Types that say nothing of what has them."""
COLLECTIONS: Final = frozenset(
    {
        *(f"builtins.{name}" for name in ("list", "set", "frozenset", "dict")),
        *(f"typing.{name}" for name in ("List", "Set", "Sequence", "Iterable", "Dict", "Mapping")),
        *(f"collections.abc.{name}" for name in ("Sequence", "Iterable", "Mapping", "Iterator")),
        *("collections.defaultdict", "sqlalchemy.ScalarResult", "sqlalchemy.orm.Query"),
    }
)
MAPPINGS: Final = frozenset(
    {"builtins.dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping"}
)
ITERATORS: Final = frozenset(
    f"{package}.{name}"
    for package in ("typing", "collections.abc")
    for name in (
        *("AsyncGenerator", "AsyncIterator", "AsyncIterable", "Generator", "Iterator"),
        "Iterable",
    )
)
WRAPPERS: Final = frozenset(
    {
        *("typing.Optional", "typing.Annotated", "typing.Final", "typing.ClassVar"),
        *("typing.Awaitable", "collections.abc.Awaitable", "typing.Required"),
        *("typing.NotRequired", "sqlalchemy.orm.Mapped", "typing.Self"),
        *("dishka.FromDishka", "dishka.integrations.fastapi.FromDishka", "wireup.Injected"),
        *("dishka.integrations.base.FromDishka", "aioinject.Injected"),
    }
)
"""Generics that are about what they hold."""
SPECIAL_FORMS: Final = WRAPPERS | {"typing.Union"}
PATHS: Final = frozenset({"pathlib.Path", "anyio.Path", "pathlib.PurePath", "pathlib.PosixPath"})
INJECTS: Final = frozenset(
    {
        *("dishka.FromDishka", "dishka.integrations.fastapi.FromDishka", "wireup.Injected"),
        *("dishka.integrations.base.FromDishka", "aioinject.Injected", "wireup.Inject"),
        *("aioinject.Inject", "aioinject.ext.fastapi.Injected", "fastapi_injector.Injected"),
        *("dependency_injector.wiring.Provide", "dependency_injector.wiring.Provider"),
        *("dependency_injector.wiring.Closing", "that_depends.Provide"),
        "lagom.integrations.fast_api.FastApiIntegration.depends",
    }
)
"""What marks a parameter that another container than FastAPI's fills."""
DEPENDS: Final = frozenset({"fastapi.Depends", "fastapi.Security"})

_MOVED: Final = {
    "typing_extensions": "typing",
    "fastapi.applications.FastAPI": "fastapi.FastAPI",
    "fastapi.routing.APIRouter": "fastapi.APIRouter",
    "fastapi.params.Depends": "fastapi.Depends",
    "fastapi.param_functions": "fastapi",
    "fastapi.exceptions.HTTPException": "fastapi.HTTPException",
    "fastapi.background.BackgroundTasks": "fastapi.BackgroundTasks",
    "starlette.background.BackgroundTasks": "fastapi.BackgroundTasks",
    "fastapi.datastructures.UploadFile": "fastapi.UploadFile",
    "starlette.datastructures.UploadFile": "fastapi.UploadFile",
    "starlette.requests.Request": "fastapi.Request",
    "fastapi.requests.Request": "fastapi.Request",
    "starlette.responses.Response": "fastapi.Response",
    "starlette.exceptions.HTTPException": "fastapi.HTTPException",
    "fastapi.responses": "starlette.responses",
    "fastapi.concurrency": "starlette.concurrency",
    "fastapi.middleware": "starlette.middleware",
    "fastapi.staticfiles": "starlette.staticfiles",
    "fastapi.status": "starlette.status",
    "sqlmodel.Session": "sqlalchemy.orm.Session",
    "sqlmodel.orm.session.Session": "sqlalchemy.orm.Session",
    "sqlalchemy.orm.session.Session": "sqlalchemy.orm.Session",
    "sqlalchemy.orm.session.sessionmaker": "sqlalchemy.orm.sessionmaker",
    "sqlmodel.create_engine": "sqlalchemy.create_engine",
    "sqlalchemy.engine.create_engine": "sqlalchemy.create_engine",
    "sqlalchemy.ext.asyncio.session": "sqlalchemy.ext.asyncio",
    "sqlalchemy.ext.asyncio.engine": "sqlalchemy.ext.asyncio",
    "sqlmodel.ext.asyncio.session.AsyncSession": "sqlalchemy.ext.asyncio.AsyncSession",
    "pydantic.v1": "pydantic",
    "pydantic.main.BaseModel": "pydantic.BaseModel",
    "pydantic.fields.Field": "pydantic.Field",
    "pydantic.error_wrappers.ValidationError": "pydantic.ValidationError",
    "pydantic_core.ValidationError": "pydantic.ValidationError",
    "sqlmodel.main.SQLModel": "sqlmodel.SQLModel",
    "httpx._client": "httpx",
    "requests.api": "requests",
    "celery.current_app": "celery.Celery",
    "celery.app.base.Celery": "celery.Celery",
    "requests.sessions.Session": "requests.Session",
    "requests.session": "requests.Session",
    "redis.client.Redis": "redis.Redis",
    "redis.StrictRedis": "redis.Redis",
    "fastapi_sqlalchemy.db.session": "sqlalchemy.orm.Session",
    "sqlalchemy.orm.query.Query": "sqlalchemy.orm.Query",
    "sqlalchemy.engine.Engine": "sqlalchemy.Engine",
    "sqlalchemy.engine.base.Engine": "sqlalchemy.Engine",
    "sqlalchemy.engine.Connection": "sqlalchemy.Connection",
    "sqlalchemy.engine.base.Connection": "sqlalchemy.Connection",
    "pymongo.mongo_client.MongoClient": "pymongo.MongoClient",
    "google.cloud.storage.blob.Blob": "google.cloud.storage.Blob",
    "aiohttp.client.ClientSession": "aiohttp.ClientSession",
    "builtins.IOError": "builtins.OSError",
    "builtins.EnvironmentError": "builtins.OSError",
    "builtins.WindowsError": "builtins.OSError",
    "socket.error": "builtins.OSError",
    "select.error": "builtins.OSError",
    "os.error": "builtins.OSError",
    "socket.timeout": "builtins.TimeoutError",
    "asyncio.TimeoutError": "builtins.TimeoutError",
    "requests.exceptions": "requests",
    "redis.exceptions": "redis",
    "google.auth.transport.requests.AuthorizedSession": "requests.Session",
    "requests_oauthlib.OAuth2Session": "requests.Session",
    "neo4j._sync.driver": "neo4j",
    "google_auth_oauthlib.flow.InstalledAppFlow": "google_auth_oauthlib.flow.Flow",
    "sqlalchemy.orm.exc.NoResultFound": "sqlalchemy.exc.NoResultFound",
    "sqlalchemy.orm.exc.MultipleResultsFound": "sqlalchemy.exc.MultipleResultsFound",
}
"""Where libraries also offer what is known by another name."""

_MADE: Final = {
    "sqlalchemy.orm.Session.query": "sqlalchemy.orm.Query",
    "sqlalchemy.orm.Session.connection": "sqlalchemy.Connection",
    "sqlalchemy.create_engine": "sqlalchemy.Engine",
    "sqlalchemy.Engine.connect": "sqlalchemy.Connection",
    "sqlalchemy.Engine.begin": "sqlalchemy.Connection",
    "sqlalchemy.ext.asyncio.create_async_engine": "sqlalchemy.ext.asyncio.AsyncEngine",
    "sqlalchemy.ext.asyncio.AsyncEngine.connect": "sqlalchemy.ext.asyncio.AsyncConnection",
    "sqlalchemy.ext.asyncio.AsyncEngine.begin": "sqlalchemy.ext.asyncio.AsyncConnection",
    "sqlite3.connect": "sqlite3.Connection",
    "sqlite3.Connection.cursor": "sqlite3.Cursor",
    "psycopg2.connect": "psycopg2.connection",
    "psycopg2.connection.cursor": "psycopg2.cursor",
    "psycopg.connect": "psycopg.Connection",
    "psycopg.Connection.cursor": "psycopg.Cursor",
    "pymysql.connect": "pymysql.Connection",
    "pymysql.Connection.cursor": "pymysql.Cursor",
    "redis.from_url": "redis.Redis",
    "redis.Redis.from_url": "redis.Redis",
    "redis.asyncio.from_url": "redis.asyncio.Redis",
    "redis.asyncio.Redis.from_url": "redis.asyncio.Redis",
    "boto3.client": "boto3.Client",
    "boto3.resource": "boto3.Resource",
    "jose.jwt.decode": "builtins.dict",
    "jwt.decode": "builtins.dict",
    "celery.Celery.control.inspect": "celery.app.control.Inspect",
    "celery.Celery.AsyncResult": "celery.result.AsyncResult",
    "celery.Celery.connection": "kombu.Connection",
    "celery.Celery.broker_connection": "kombu.Connection",
    "celery.Celery.connection_for_read": "kombu.Connection",
    "celery.Celery.connection_for_write": "kombu.Connection",
    "logging.getLogger": "logging.Logger",
    "builtins.open": "io.TextIOWrapper",
    "pathlib.Path.open": "io.TextIOWrapper",
    "pathlib.Path.cwd": "pathlib.Path",
    "pathlib.Path.home": "pathlib.Path",
    "psycopg2.pool.SimpleConnectionPool.getconn": "psycopg2.connection",
    "psycopg2.pool.ThreadedConnectionPool.getconn": "psycopg2.connection",
    "googleapiclient.discovery.build": "googleapiclient.discovery.Resource",
    "google.cloud.storage.Client.bucket": "google.cloud.storage.Bucket",
    "google.cloud.storage.Client.get_bucket": "google.cloud.storage.Bucket",
    "google.cloud.storage.Bucket.blob": "google.cloud.storage.Blob",
    "docker.from_env": "docker.DockerClient",
    "boto3.session.Session.client": "boto3.Client",
    "boto3.session.Session.resource": "boto3.Resource",
    "boto3.Session.client": "boto3.Client",
    "boto3.Session.resource": "boto3.Resource",
    "supabase.create_client": "supabase.Client",
    "firebase_admin.firestore.client": "google.cloud.firestore.Client",
    "pymongo.MongoClient.get_database": "pymongo.MongoClient",
    "pymongo.MongoClient.get_default_database": "pymongo.MongoClient",
    "mysql.connector.connect": "pymysql.Connection",  # the same methods
    "MySQLdb.connect": "pymysql.Connection",
    "tarfile.open": "tarfile.TarFile",
    "neo4j.GraphDatabase.driver": "neo4j.Driver",
    "neo4j.GraphDatabase.bolt_driver": "neo4j.Driver",
    "neo4j.Driver.session": "neo4j.Session",
    "neo4j.Session.begin_transaction": "neo4j.Transaction",
    "neo4j.AsyncGraphDatabase.driver": "neo4j.AsyncDriver",
    "neo4j.AsyncDriver.session": "neo4j.AsyncSession",
    "ffmpeg.input": "ffmpeg.Stream",
    "google_auth_oauthlib.flow.Flow.from_client_config": "google_auth_oauthlib.flow.Flow",
    "google_auth_oauthlib.flow.Flow.from_client_secrets_file": "google_auth_oauthlib.flow.Flow",
    "PIL.Image.open": "PIL.Image.Image",
    "PIL.Image.new": "PIL.Image.Image",
    "asyncio.get_event_loop": "asyncio.AbstractEventLoop",
    "asyncio.get_running_loop": "asyncio.AbstractEventLoop",
    "asyncio.new_event_loop": "asyncio.AbstractEventLoop",
}
"""What calls of functions in lower case return an instance of."""

ATTRIBUTES: Final = {
    "fastapi.UploadFile.file": "tempfile.SpooledTemporaryFile",
    "fastapi.Request.app": "fastapi.FastAPI",
    "pathlib.Path.parent": "pathlib.Path",
    "fastapi.FastAPI.router": "fastapi.APIRouter",
}
"""What attributes of instances are instances of."""

_FLUENT: Final = {
    "sqlalchemy.orm.Query": frozenset(
        {"all", "first", "one", "one_or_none", "scalar", "count", "get", "delete", "update"}
    ),
    "googleapiclient.discovery.Resource": frozenset({"execute"}),
    "supabase.Client": frozenset({"execute"}),
    "google.cloud.firestore.Client": frozenset(
        {"get", "set", "update", "delete", "add", "stream", "commit"}
    ),
    "ffmpeg.Stream": frozenset({"run", "run_async", "compile", "get_args", "view"}),
    "peewee.Model": frozenset(
        {"get", "get_or_none", "get_by_id", "create", "get_or_create", "save", "execute", "count"}
        | {"first", "scalar", "exists", "delete_instance", "dicts", "iterator"}
    ),
}
"""Classes whose methods return another of their own kind, but for some."""

_PATHS_OF_PATHS: Final = frozenset(
    {
        *("joinpath", "resolve", "absolute", "expanduser", "with_name", "with_suffix"),
        *("with_stem", "relative_to", "rename", "replace"),
    }
)
"""Methods of a path that return another."""

_SESSIONS: Final = {
    "sqlalchemy.orm.sessionmaker": "sqlalchemy.orm.Session",
    "sqlalchemy.orm.scoped_session": "sqlalchemy.orm.Session",
    "sqlalchemy.ext.asyncio.async_sessionmaker": "sqlalchemy.ext.asyncio.AsyncSession",
    "sqlalchemy.ext.asyncio.async_scoped_session": "sqlalchemy.ext.asyncio.AsyncSession",
}
"""What is made by calling what such a call made."""


def canonical(dotted: str) -> str:
    """Return the best known name of something that a library offers."""
    for _ in range(2):
        if (moved := _MOVED.get(dotted)) is not None:
            return moved
        head, _, tail = dotted.rpartition(".")
        if head in _MOVED and tail:
            dotted = f"{_MOVED[head]}.{tail}"
    return dotted


def member(base: Ref, name: str) -> Ref:
    """Return an attribute of something that a library offers, or an instance has."""
    made = ATTRIBUTES.get(f"{base.name}.{name}") if base.is_instance else None
    if made is not None:
        return Ref(made, is_instance=True)
    return Ref(canonical(f"{base.name}.{name}"), args=base.args if base.is_instance else ())


_BUILTINS: Final = frozenset({"dict", "list", "set", "str", "bytes", "int"})


def result(function: Ref, node: ast.Call, resolve: Callable[[ast.expr], Ref | None]) -> Ref | None:
    """Return what a call of a library's function returns, or None."""
    if function.is_instance:
        return _session_of(function)
    if function.name in _SESSIONS:
        return Ref(function.name, None, True, (_session_class(function, node, resolve),))
    if function.name in _MADE:
        return Ref(_MADE[function.name], is_instance=True)
    owner, _, method = function.name.rpartition(".")
    if method not in _FLUENT.get(owner, {method}):
        return Ref(owner, is_instance=True, args=function.args)
    return (
        rows.selects(function, node, resolve)
        or rows.passed_on(function, node, resolve)
        or _path_of_path(owner, method)
        or _of_argument(function, node, resolve)
        or _constructed(function)
    )


def _session_of(maker: Ref) -> Ref | None:
    """Return the session that a call of a `sessionmaker(...)` makes."""
    made = _SESSIONS.get(maker.name)
    if made is None:
        return None
    session = maker.args[0] if maker.args else None
    return session if session is not None else Ref(made, is_instance=True)


def _path_of_path(owner: str, method: str) -> Ref | None:
    is_path = owner in PATHS and method in _PATHS_OF_PATHS
    return Ref(owner, is_instance=True) if is_path else None


def _of_argument(
    function: Ref, node: ast.Call, resolve: Callable[[ast.expr], Ref | None]
) -> Ref | None:
    """Return what a call returns of its arguments: `cast(Item, found)`, `partial(send)`."""
    if not node.args:
        return None
    if function.name == "typing.cast":
        found = resolve(node.args[0])
        return resolve(node.args[-1]) if found is None else found.instance
    returns_first = function.name in {"builtins.getattr", "functools.partial"}
    return resolve(node.args[0]) if returns_first else None


def _constructed(function: Ref) -> Ref | None:
    """Return an instance where the name is that of a class: `Client`, `dict`."""
    is_class = function.name.rpartition(".")[2].lstrip("_")[:1].isupper()
    is_builtin = function.name.removeprefix("builtins.") in _BUILTINS
    return function.instance if is_class or is_builtin else None


def _session_class(
    function: Ref, node: ast.Call, resolve: Callable[[ast.expr], Ref | None]
) -> Ref | None:
    for keyword in node.keywords:
        if keyword.arg == "class_" and (found := resolve(keyword.value)) is not None:
            return found.instance
    if function.name.endswith("scoped_session") and node.args:
        maker = resolve(node.args[0])
        return maker.args[0] if maker is not None and maker.args else None
    return None
