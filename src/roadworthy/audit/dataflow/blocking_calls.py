"""The calls that block, by library, and what each waits for: a server, a database, a file.

A new client goes into these tables, and rules RW701 to RW703 find its calls.
"""

import ast
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.source import annotations, names
from roadworthy.audit.source.module import Scope

__all__ = ["DATABASES", "Effect", "Kind", "blocking", "outside"]

Kind: TypeAlias = Literal["server", "database", "files", "process", "time", "work"]
"""What a call waits for."""

_SAID: Final[dict[Kind, str]] = {
    "server": "waits for another server",
    "database": "waits for the database",
    "files": "copies or removes files",
    "process": "waits for another process",
    "time": "sleeps",
    "work": "computes for long",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call waits for."""

    kind: Kind

    @property
    def said(self) -> str:
        """Return the words for a message, to follow the text of the call: "sleeps"."""
        return _SAID[self.kind]


_HTTP: Final = ("get", "post", "put", "patch", "delete", "head", "options", "request")

_FUNCTIONS: Final[dict[Kind, tuple[str, ...]]] = {
    "server": (
        *(f"requests.{verb}" for verb in _HTTP),
        *(f"httpx.{verb}" for verb in (*_HTTP, "stream")),
        *("urllib.request.urlopen", "urllib.request.urlretrieve", "urllib3.request"),
        *("smtplib.SMTP", "smtplib.SMTP_SSL", "imaplib.IMAP4_SSL", "ftplib.FTP"),
        *("socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname"),
        *("openai.ChatCompletion.create", "openai.Completion.create", "openai.Embedding.create"),
        *("openai.Image.create", "openai.Audio.transcribe", "openai.Moderation.create"),
        *("ollama.chat", "ollama.generate", "ollama.embeddings", "ollama.pull", "ollama.list"),
        *("litellm.completion", "litellm.embedding", "litellm.transcription", "resend.Emails.send"),
        *("google.generativeai.GenerativeModel.generate_content", "replicate.run"),
        *("google.genai.Client.models.generate_content", "pika.BlockingConnection"),
        *(f"langchain_openai.ChatOpenAI.{name}" for name in ("invoke", "predict")),
        *(f"cohere.Client.{name}" for name in ("chat", "embed", "rerank", "generate")),
        *("google.oauth2.id_token.verify_oauth2_token", "google.oauth2.id_token.verify_token"),
        *("google.oauth2.id_token.verify_firebase_token", "google.oauth2.id_token.fetch_id_token"),
        *("feedparser.parse", "dns.resolver.resolve", "dns.resolver.query", "whois.whois"),
    ),
    "process": (
        *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")),
        *("ffmpeg.run", "ffmpeg.probe", "ffmpeg.Stream.run"),
        *("subprocess.getoutput", "subprocess.getstatusoutput", "os.system", "os.waitpid"),
        *("pypandoc.convert_file", "pypandoc.convert_text", "pdfkit.from_string"),
        *("pdfkit.from_file", "pdfkit.from_url", "pdf2image.convert_from_path"),
        *("pdf2image.convert_from_bytes", "pytesseract.image_to_string"),
    ),
    "files": (
        *(f"shutil.{name}" for name in ("copyfileobj", "copytree", "rmtree", "make_archive")),
        *("shutil.unpack_archive",),
    ),
    "time": ("time.sleep",),
    "work": (
        *("bcrypt.hashpw", "bcrypt.checkpw", "bcrypt.kdf", "hashlib.scrypt", "hashlib.pbkdf2_hmac"),
        *("werkzeug.security.generate_password_hash", "werkzeug.security.check_password_hash"),
    ),
    "database": (
        *("psycopg2.connect", "psycopg.connect", "pymysql.connect", "MySQLdb.connect"),
        *("mysql.connector.connect", "cx_Oracle.connect", "oracledb.connect", "pyodbc.connect"),
        *("pandas.read_sql", "pandas.read_sql_query"),
    ),
}

_CURSOR: Final = ("execute", "executemany", "fetchone", "fetchall", "fetchmany", "commit")
_SESSION: Final = (
    *("execute", "scalar", "scalars", "exec", "get", "get_one", "commit", "flush", "refresh"),
    *("bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings", "merge"),
)
_QUERY: Final = (
    *("all", "first", "one", "one_or_none", "scalar", "count", "get", "delete", "update"),
)
_PEEWEE: Final = (
    *("get", "get_or_none", "get_by_id", "create", "get_or_create", "save", "delete_instance"),
    *("execute", "count", "exists", "first", "scalar", "bulk_create", "insert_many"),
)
_MONGO: Final = (
    *("find_one", "insert_one", "insert_many", "update_one", "update_many", "replace_one"),
    *("delete_one", "delete_many", "count_documents", "distinct", "bulk_write"),
    *("find_one_and_update", "find_one_and_delete", "find_one_and_replace", "create_index"),
    *("aggregate", "estimated_document_count"),
)
_STRIPE: Final = (
    *("create", "retrieve", "modify", "list", "delete", "cancel", "search", "confirm", "capture"),
    *("update", "pay", "finalize", "void", "send", "upcoming", "attach", "detach", "resume"),
)
"""Words with which the names of its methods begin that ask its server."""
_BLOB: Final = (
    *("upload_from_string", "upload_from_filename", "upload_from_file", "download_as_bytes"),
    *("download_as_string", "download_as_text", "download_to_filename", "download_to_file"),
    *("delete", "exists", "reload"),
)

_INSPECTS: Final = (
    *("active", "reserved", "scheduled", "stats", "ping", "registered", "active_queues"),
    *("report", "revoked", "query_task", "clock"),
)

_METHODS: Final[dict[str, tuple[Kind, tuple[str, ...]]]] = {
    "requests.Session": ("server", (*_HTTP, "send")),
    "httpx.Client": ("server", (*_HTTP, "send", "stream")),
    "urllib3.PoolManager": ("server", ("request", "urlopen")),
    "http.client.HTTPConnection": ("server", ("request", "getresponse", "connect")),
    "http.client.HTTPSConnection": ("server", ("request", "getresponse", "connect")),
    "smtplib.SMTP": ("server", ("sendmail", "send_message", "login", "starttls", "connect")),
    "smtplib.SMTP_SSL": ("server", ("sendmail", "send_message", "login", "connect")),
    "googleapiclient.discovery.Resource": ("server", ("execute",)),
    "google.cloud.storage.Blob": ("server", _BLOB),
    "google.cloud.storage.Client": ("server", ("get_bucket", "list_blobs", "create_bucket")),
    "google.cloud.bigquery.Client": ("server", ("query", "insert_rows_json", "get_table")),
    "slack_sdk.WebClient": (
        "server",
        ("chat_postMessage", "users_info", "conversations_list", "users_list", "auth_test"),
    ),
    "sendgrid.SendGridAPIClient": ("server", ("send",)),
    "google_auth_oauthlib.flow.Flow": ("server", ("fetch_token", "run_local_server")),
    "google.oauth2.credentials.Credentials": ("server", ("refresh",)),
    "google.oauth2.service_account.Credentials": ("server", ("refresh",)),
    "passlib.context.CryptContext": ("work", ("hash", "verify", "verify_and_update")),
    "passlib.hash.bcrypt": ("work", ("hash", "verify")),
    "argon2.PasswordHasher": ("work", ("hash", "verify")),
    "pwdlib.PasswordHash": ("work", ("hash", "verify", "verify_and_update")),
    "PIL.Image.Image": (
        "work",
        ("save", "resize", "thumbnail", "convert", "filter", "quantize", "rotate", "load"),
    ),
    "neo4j.Driver": ("database", ("execute_query", "verify_connectivity")),
    "neo4j.Session": ("database", ("run", "execute_read", "execute_write", "begin_transaction")),
    "neo4j.Transaction": ("database", ("run", "commit", "rollback")),
    "socket.socket": ("server", ("connect", "sendall", "recv", "accept")),
    "paramiko.SSHClient": ("server", ("connect", "exec_command", "open_sftp")),
    "ldap3.Connection": ("server", ("bind", "search", "modify", "add")),
    "celery.app.control.Inspect": (
        "server",
        _INSPECTS,
    ),
    "celery.Celery.control": ("server", ("ping", "broadcast")),
    "celery.result.AsyncResult": (
        "server",
        ("get", "ready", "successful", "failed", "wait", "forget", "collect"),
    ),
    "kombu.Connection": ("server", ("connect", "ensure_connection")),
    "subprocess.Popen": ("process", ("wait", "communicate")),
    "zipfile.ZipFile": ("files", ("extractall",)),
    "tarfile.TarFile": ("files", ("extractall",)),
    "sqlalchemy.orm.Session": ("database", _SESSION),
    "sqlalchemy.orm.Query": ("database", _QUERY),
    "sqlalchemy.orm.scoped_session": ("database", _SESSION),
    "sqlalchemy.Connection": ("database", ("execute", "scalar", "scalars", "commit")),
    "sqlalchemy.Engine": ("database", ("connect", "begin")),
    "sqlite3.Connection": ("database", _CURSOR),
    "sqlite3.Cursor": ("database", _CURSOR),
    "psycopg2.connection": ("database", _CURSOR),
    "psycopg2.cursor": ("database", _CURSOR),
    "psycopg.Connection": ("database", _CURSOR),
    "psycopg.Cursor": ("database", _CURSOR),
    "pymysql.Connection": ("database", _CURSOR),
    "pymysql.Cursor": ("database", _CURSOR),
    "supabase.Client": ("database", ("execute",)),
    "google.cloud.firestore.Client": (
        "database",
        ("get", "set", "update", "delete", "add", "stream", "commit"),
    ),
    "peewee.Model": ("database", _PEEWEE),
    "pymongo.MongoClient": ("database", (*_MONGO, "server_info", "list_database_names")),
    "elasticsearch.Elasticsearch": (
        "database",
        ("search", "index", "get", "delete", "update", "bulk", "count", "exists", "create"),
    ),
}

_REDIS_LAZY: Final = frozenset(
    {"pipeline", "pubsub", "lock", "register_script", "from_url", "close", "get_encoder"}
)
_BOTO_LAZY: Final = frozenset(
    {"generate_presigned_url", "generate_presigned_post", "get_paginator", "get_waiter"}
    | {"can_paginate", "close", "load", "all", "filter"}
)
_ANY: Final[dict[str, tuple[Kind, frozenset[str]]]] = {
    "redis.Redis": ("database", _REDIS_LAZY),
    "redis.StrictRedis": ("database", _REDIS_LAZY),
    "boto3.Client": ("server", _BOTO_LAZY),
    "boto3.Resource": ("server", _BOTO_LAZY),
    "minio.Minio": ("server", frozenset({"presigned_get_object", "presigned_put_object"})),
    "qdrant_client.QdrantClient": ("database", frozenset({"close"})),
}
"""Classes of which every method waits, but for some."""

_MODELS: Final = ("openai.OpenAI", "openai.AzureOpenAI", "anthropic.Anthropic", "groq.Groq")
"""Clients whose calls end in one of a few verbs."""
_DOCKER: Final = frozenset(
    {"run", "list", "get", "pull", "build", "ping", "create", "prune", "info", "push", "version"}
)
_ASKS: Final = ("create", "parse", "retrieve", "list", "delete", "stream", "generate", "edit")

_KUBERNETES: Final = ("create_", "read_", "list_", "delete_", "patch_", "replace_", "connect_")

_BY_NAME: Final = {name: Effect(kind) for kind, found in _FUNCTIONS.items() for name in found} | {
    f"{owner}.{method}": Effect(kind)
    for owner, (kind, methods) in _METHODS.items()
    for method in methods
}

DATABASES: Final = frozenset(
    owner for owner, (kind, _) in _METHODS.items() if kind == "database"
) | {"redis.Redis", "redis.StrictRedis"}
"""Synchronous clients of databases."""


def blocking(reached: Reached) -> Effect | None:
    """Return what a synchronous call waits for, or None where nothing is known."""
    ref = reached.ref
    if ref is None or ref.entity is not None or ref.is_instance or reached.call.awaited:
        return None
    if ref.name in _READERS:
        return Effect("server") if _is_address(reached) else None
    return None if _asks_its_own_name(reached, ref.name) else _of_name(ref.name)


def _asks_its_own_name(reached: Reached, name: str) -> bool:
    """Return whether a machine asks for its own address, which stands in its `/etc/hosts`."""
    if name not in _RESOLVERS or not reached.call.node.args:
        return False
    asked: ast.expr = reached.call.node.args[0]
    scope: Scope = reached.scope
    made = annotations.definition(asked, scope)
    if made is not None and made[0].value is not None:
        asked, scope = made[0].value, made[1]
    called = names.resolve(asked.func, scope) if isinstance(asked, ast.Call) else None
    return called is not None and called.name in _OWN_NAMES


def _is_address(reached: Reached) -> bool:
    """Return whether what a call reads begins with `https://`, so that a server is asked."""
    node = reached.call.node
    asked = node.args[0] if node.args else next((one.value for one in node.keywords), None)
    made = None if asked is None else annotations.definition(asked, reached.scope)
    value = asked if made is None else made[0].value
    if isinstance(value, ast.JoinedStr) and value.values:
        value = value.values[0]
    text = value.value if isinstance(value, ast.Constant) else None
    return isinstance(text, str) and text.lower().startswith(_ADDRESSES)


_ADDRESSES: Final = ("http://", "https://", "s3://", "gs://", "ftp://", "hf://", "abfs://")
_READERS: Final = frozenset(
    f"{library}.{name}"
    for library in ("pandas", "polars")
    for name in (
        *("read_csv", "read_json", "read_parquet", "read_excel", "read_html", "read_xml"),
        *("read_feather", "read_table", "read_ipc", "read_ndjson"),
    )
)
"""Readers that take a path as well as an address."""
_RESOLVERS: Final = frozenset({"socket.gethostbyname", "socket.getaddrinfo"})
_OWN_NAMES: Final = frozenset({"socket.gethostname", "socket.getfqdn", "platform.node"})


def _of_name(name: str) -> Effect | None:
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    owner, _, method = name.rpartition(".")
    root = name.partition(".")[0]
    if root in _BRANCHES and method.islower():
        return _BRANCHES[root](name, owner, method)
    return None


def _of_any(name: str, owner: str, method: str) -> Effect | None:
    del owner
    for client, (kind, lazy) in _ANY.items():
        if name.startswith(f"{client}.") and method not in lazy:
            return Effect(kind)
    return None


def _of_stripe(name: str, owner: str, method: str) -> Effect | None:
    del name
    named = owner.rpartition(".")[2][:1].isupper() or "stripe.StripeClient" in owner
    asks = method.partition("_")[0] in _STRIPE and not method.endswith("_async")
    return Effect("server") if named and asks else None


def _of_model(name: str, owner: str, method: str) -> Effect | None:
    del owner
    asks = method in _ASKS and name.startswith(tuple(f"{one}." for one in _MODELS))
    return Effect("server") if asks else None


def _of_docker(name: str, owner: str, method: str) -> Effect | None:
    del owner
    asks = name.startswith("docker.DockerClient.") and method in _DOCKER
    return Effect("server") if asks else None


def _of_kubernetes(name: str, owner: str, method: str) -> Effect | None:
    del name
    asks = owner.endswith("Api") and method.startswith(_KUBERNETES)
    return Effect("server") if asks else None


def _of_mongo(name: str, owner: str, method: str) -> Effect | None:
    del owner
    known = name.startswith("pymongo.MongoClient.") and method in _MONGO
    return Effect("database") if known else None


_BRANCHES: Final = {
    "redis": _of_any,
    "boto3": _of_any,
    "minio": _of_any,
    "qdrant_client": _of_any,
    "docker": _of_docker,
    "stripe": _of_stripe,
    "openai": _of_model,
    "anthropic": _of_model,
    "groq": _of_model,
    "kubernetes": _of_kubernetes,
    "pymongo": _of_mongo,
}

_ASYNC: Final = (
    *("httpx.AsyncClient.", "aiohttp.ClientSession.", "sqlalchemy.ext.asyncio.", "redis.asyncio."),
    *("asyncpg.", "motor.", "aiosmtplib.", "aioredis.", "aiobotocore.", "aioboto3.", "aiofiles."),
    *("openai.AsyncOpenAI.", "anthropic.AsyncAnthropic.", "fastapi_mail.", "tortoise.", "beanie."),
    *("aio_pika.", "aiokafka.", "grpc.", "elasticsearch.AsyncElasticsearch.", "stripe."),
)
_WAITING: Final = frozenset(
    {
        *(*_HTTP, "send", "stream", "execute", "scalar", "scalars", "exec", "commit", "flush"),
        *("refresh", "fetch", "fetchrow", "fetchval", "create", "send_message", "publish", "set"),
        *("sendmail", "connect", "find_one", "insert_one", "update_one", "delete_one", "lpush"),
        *("put_object", "get_object", "upload_file", "upload_fileobj", "download_file", "open"),
    }
)


def outside(reached: Reached) -> bool:
    """Return whether a call, awaited or not, waits for something that can fail."""
    ref = reached.ref
    if ref is None or ref.entity is not None or ref.is_instance:
        return False
    found = _of_name(ref.name)
    if found is not None:
        return found.kind != "time"
    return ref.name.startswith(_ASYNC) and ref.name.rpartition(".")[2] in _WAITING
