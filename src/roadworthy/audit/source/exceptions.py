"""The class trees of exceptions, and what calls of libraries raise."""

import builtins
from typing import Final

__all__ = ["EVERYTHING", "PARENTS", "ancestors", "covers", "covers_package", "raised_by"]

EVERYTHING: Final = frozenset({"builtins.Exception", "builtins.BaseException"})
"""What stands above all that a call raises."""

_OS: Final = "builtins.OSError"
_SQLALCHEMY: Final = "sqlalchemy.exc.SQLAlchemyError"
_DBAPI: Final = "sqlalchemy.exc.DBAPIError"
PARENTS: Final[dict[str, tuple[str, ...]]] = {
    "socket.gaierror": (_OS,),
    "socket.herror": (_OS,),
    "ssl.SSLError": (_OS,),
    "smtplib.SMTPException": (_OS,),
    "smtplib.SMTPServerDisconnected": ("smtplib.SMTPException",),
    "smtplib.SMTPResponseException": ("smtplib.SMTPException",),
    "smtplib.SMTPRecipientsRefused": ("smtplib.SMTPException",),
    "smtplib.SMTPNotSupportedError": ("smtplib.SMTPException",),
    "smtplib.SMTPSenderRefused": ("smtplib.SMTPResponseException",),
    "smtplib.SMTPDataError": ("smtplib.SMTPResponseException",),
    "smtplib.SMTPConnectError": ("smtplib.SMTPResponseException",),
    "smtplib.SMTPHeloError": ("smtplib.SMTPResponseException",),
    "smtplib.SMTPAuthenticationError": ("smtplib.SMTPResponseException",),
    "urllib.error.URLError": (_OS,),
    "urllib.error.HTTPError": ("urllib.error.URLError",),
    "urllib.error.ContentTooShortError": ("urllib.error.URLError",),
    "http.client.HTTPException": ("builtins.Exception",),
    "subprocess.SubprocessError": ("builtins.Exception",),
    "subprocess.CalledProcessError": ("subprocess.SubprocessError",),
    "subprocess.TimeoutExpired": ("subprocess.SubprocessError",),
    "requests.RequestException": (_OS,),
    "requests.HTTPError": ("requests.RequestException",),
    "requests.ConnectionError": ("requests.RequestException",),
    "requests.Timeout": ("requests.RequestException",),
    "requests.ConnectTimeout": ("requests.ConnectionError", "requests.Timeout"),
    "requests.ReadTimeout": ("requests.Timeout",),
    "httpx.HTTPError": ("builtins.Exception",),
    "httpx.HTTPStatusError": ("httpx.HTTPError",),
    "httpx.RequestError": ("httpx.HTTPError",),
    "httpx.TransportError": ("httpx.RequestError",),
    "httpx.TimeoutException": ("httpx.TransportError",),
    "httpx.ConnectTimeout": ("httpx.TimeoutException",),
    "httpx.ReadTimeout": ("httpx.TimeoutException",),
    "httpx.NetworkError": ("httpx.TransportError",),
    "httpx.ConnectError": ("httpx.NetworkError",),
    "sqlite3.Error": ("builtins.Exception",),
    "sqlite3.DatabaseError": ("sqlite3.Error",),
    "sqlite3.OperationalError": ("sqlite3.DatabaseError",),
    "sqlite3.IntegrityError": ("sqlite3.DatabaseError",),
    _SQLALCHEMY: ("builtins.Exception",),
    "sqlalchemy.exc.StatementError": (_SQLALCHEMY,),
    _DBAPI: ("sqlalchemy.exc.StatementError",),
    "sqlalchemy.exc.DatabaseError": (_DBAPI,),
    "sqlalchemy.exc.InterfaceError": (_DBAPI,),
    "sqlalchemy.exc.OperationalError": ("sqlalchemy.exc.DatabaseError",),
    "sqlalchemy.exc.IntegrityError": ("sqlalchemy.exc.DatabaseError",),
    "sqlalchemy.exc.DataError": ("sqlalchemy.exc.DatabaseError",),
    "sqlalchemy.exc.ProgrammingError": ("sqlalchemy.exc.DatabaseError",),
    "sqlalchemy.exc.InternalError": ("sqlalchemy.exc.DatabaseError",),
    "sqlalchemy.exc.InvalidRequestError": (_SQLALCHEMY,),
    "sqlalchemy.exc.NoResultFound": ("sqlalchemy.exc.InvalidRequestError",),
    "sqlalchemy.exc.MultipleResultsFound": ("sqlalchemy.exc.InvalidRequestError",),
    "redis.RedisError": ("builtins.Exception",),
    "redis.ConnectionError": ("redis.RedisError",),
    "redis.TimeoutError": ("redis.RedisError",),
    "botocore.exceptions.BotoCoreError": ("builtins.Exception",),
    "botocore.exceptions.ClientError": ("builtins.Exception",),
    "aiosmtplib.SMTPException": ("builtins.Exception",),
}
"""What exceptions of libraries inherit, near ones first; those of Python itself are asked."""

_RAISES: Final[dict[str, tuple[str, ...]]] = {
    "smtplib": ("smtplib.SMTPException", "builtins.ConnectionError", "socket.gaierror"),
    "socket": ("builtins.ConnectionError", "socket.gaierror"),
    "imaplib": (_OS,),
    "ftplib": (_OS,),
    "ssl": (_OS,),
    "urllib": ("urllib.error.URLError",),
    "http": (_OS,),
    "requests": ("requests.RequestException",),
    "httpx": ("httpx.RequestError",),
    "aiohttp": ("aiohttp.ClientError",),
    "subprocess": (_OS,),
    "shutil": (_OS,),
    "os": (_OS,),
    "sqlite3": ("sqlite3.Error",),
    "sqlalchemy": (_DBAPI,),
    "redis": ("redis.RedisError",),
    "boto3": ("botocore.exceptions.ClientError", "botocore.exceptions.BotoCoreError"),
}
"""What a call of a library may raise, and all of which a clause must cover, by its package."""
_CHECKED: Final = ("subprocess.SubprocessError",)
_CHECKS: Final = frozenset({"subprocess.check_call", "subprocess.check_output"})
_WHOLE: Final = frozenset(
    {
        *("SQLAlchemyError", "StripeError", "OpenAIError", "ApiException", "PyMongoError"),
        *("MinioException", "GoogleAPIError", "GoogleAPICallError", "DockerException", "RpcError"),
        *("RequestException", "HTTPError", "RedisError", "ClientError", "SlackApiError"),
        *("Error", "MySQLError", "PostgresError", "APIError", "AnthropicError", "KafkaError"),
    }
)
"""How libraries whose trees are not known here call the error above all of theirs."""


def raised_by(name: str, *, checked: bool = False) -> tuple[str, ...]:
    """Return what a library's function may raise; nothing where that is not known."""
    package = name.partition(".")[0]
    found = _RAISES.get(package, ())
    fails = name in _CHECKS or (checked and package == "subprocess")
    return (*found, *_CHECKED) if fails else found


def covers(caught: str, raised: str) -> bool:
    """Return whether a clause for one class takes every exception of another."""
    return caught in EVERYTHING or caught in ancestors(raised)


def covers_package(caught: str) -> bool:
    """Return whether a class is, by its name, above all that some library raises."""
    return caught not in PARENTS and caught.rpartition(".")[2] in _WHOLE


def ancestors(name: str) -> frozenset[str]:
    """Return an exception and all that it inherits, as far as that is known."""
    found, waiting = {name}, [name]
    while waiting:
        for parent in _parents(waiting.pop()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return frozenset(found)


def _parents(name: str) -> tuple[str, ...]:
    if name in PARENTS:
        return PARENTS[name]
    package, _, last = name.rpartition(".")
    cls = getattr(builtins, last, None) if package == "builtins" else None
    return tuple(f"builtins.{base.__name__}" for base in cls.__bases__) if cls else ()
