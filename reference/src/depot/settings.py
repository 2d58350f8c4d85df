"""The settings of Depot, one environment variable each.

The variable of a setting is its name in capitals after `DEPOT_`; a group and its
member are joined by two underscores: `DEPOT_BODY__MAX_BYTES`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from depot.mail.smtp import Server

__all__ = ["Settings", "SettingsMistaken", "read", "unknown", "variables"]

PREFIX: Final = "DEPOT_"
MAX_BYTES: Final = 2**40
"""A terabyte: more is a slip of the finger."""


class SettingsMistaken(Exception):
    """The environment holds values that Depot cannot take: `lines` has one for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
            raise ValueError(f"not one of {schemes}")
        return url

    return AfterValidator(check)


def _database_url(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    if not mark or scheme.partition("+")[0] not in {"sqlite", "postgresql", "postgres"}:
        raise ValueError("another database")
    return url  # what else there may be in it is judged, and told, when it is opened


def _files_url(url: str) -> str:
    parts = urlsplit(url)
    local = parts.scheme == "file" and parts.netloc in {"", "localhost"}
    if not (local and parts.path.strip("/")) and not (parts.scheme == "s3" and parts.netloc):
        raise ValueError("neither a directory nor a bucket")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("credentials and options have variables of their own")
    return url


def _mail_url(url: str) -> str:
    Server.of(url)
    return url


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if text != "*" and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path):
        raise ValueError("not an origin")
    return text


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


_Origins = Annotated[list[Annotated[str, AfterValidator(_origin)]], BeforeValidator(_from_json)]
_Bytes = Annotated[int, Field(gt=0, le=MAX_BYTES)]
_Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class _Database(BaseModel):
    url: Annotated[str, AfterValidator(_database_url)] | None = Field(
        default=None,
        description="sqlite:///path/to/file or postgresql://user:password@host/database",
    )
    replica_url: Annotated[str, _with_scheme("postgresql", "postgres")] | None = Field(
        default=None,
        description="postgresql://user:password@host/database, a replica of the other one",
    )
    behind_pooler: bool = Field(
        default=False, description="true behind PgBouncer with transaction pooling, or false"
    )

    @field_validator("replica_url")
    @classmethod
    def _of_postgresql(cls, replica: str | None, info: ValidationInfo) -> str | None:
        url: str | None = info.data.get("url")
        if replica is not None and not (url or "").startswith("postgres"):
            raise ValueError("a replica of what is no PostgreSQL")
        return replica


class _Jobs(BaseModel):
    engine: Literal["embedded", "celery", "rq"] = Field(
        default="embedded", description="embedded, celery or rq"
    )
    broker_url: Annotated[str, _with_scheme("amqp", "amqps", "redis", "rediss")] | None = Field(
        default=None, description="amqp://host or redis://host, for celery or rq"
    )
    run_in_server: bool = Field(default=True, description="true or false")


class _Files(BaseModel):
    url: Annotated[str, AfterValidator(_files_url)] | None = Field(
        default=None, description="file:///path or s3://bucket/prefix"
    )


class _Mail(BaseModel):
    url: Annotated[str, AfterValidator(_mail_url)] | None = Field(
        default=None, description="smtp://user:password@host:port or smtps://..."
    )


class _Uploads(BaseModel):
    max_bytes: _Bytes = Field(
        default=5242880, description="a whole number of bytes, such as 5242880"
    )


class _Archives(BaseModel):
    max_bytes: _Bytes = Field(
        default=2**31, description="a whole number of bytes, such as 2147483648"
    )


class _Body(BaseModel):
    max_bytes: _Bytes = Field(default=2**20, description="a whole number of bytes, such as 1048576")


class _Ops(BaseModel):
    token: SecretStr | None = Field(default=None, description="a secret text")


class _Cors(BaseModel):
    origins: _Origins = Field(
        default=["http://localhost:3000"],
        description='a JSON list of origins, such as ["http://localhost:3000"]',
    )


class _Shutdown(BaseModel):
    drain_seconds: _Seconds = Field(default=5, description="a number of seconds, such as 5")
    grace_seconds: _Seconds = Field(default=25, description="a number of seconds, such as 25")


class _Log(BaseModel):
    format: Literal["json", "console"] = Field(default="console", description="json or console")


class Settings(BaseSettings):
    """All settings; `read()` reads them from the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        # Pydantic's own decoding stops at the first value that is not JSON; all are wanted.
        enable_decoding=False,
        extra="ignore",
    )

    data_dir: Path = Field(default=Path("var"), description="a directory")
    database: _Database = _Database()
    jobs: _Jobs = _Jobs()
    files: _Files = _Files()
    mail: _Mail = _Mail()
    uploads: _Uploads = _Uploads()
    archives: _Archives = _Archives()
    body: _Body = _Body()
    require_if_match: bool = Field(default=False, description="true or false")
    ops: _Ops = _Ops()
    cors: _Cors = _Cors()
    shutdown: _Shutdown = _Shutdown()
    log: _Log = _Log()

    @property
    def database_url(self) -> str:
        """The URL that was given, else that of a SQLite file in the data directory."""
        return self.database.url or f"sqlite:///{self.data_dir.absolute() / 'depot.db'}"

    @property
    def files_dir(self) -> Path:
        """Where uploads are kept, unless that is an object store."""
        if self.files.url is None:
            return self.data_dir / "files"
        return Path(url2pathname(urlsplit(self.files.url).path))

    @property
    def bucket(self) -> str | None:
        """The URL of the object store that was given: `s3://bucket/prefix`."""
        url = self.files.url
        return url if url is not None and url.startswith("s3:") else None

    @property
    def endpoint(self) -> str:
        """The address of the object store, from the variables that are customary for it."""
        return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")

    @property
    def mail_dir(self) -> Path:
        """Where mail is kept as files, unless it is sent."""
        return self.data_dir / "mail"

    @property
    def drain_seconds(self) -> float:
        """Return the seconds to serve on after SIGTERM, within the grace seconds."""
        return min(self.shutdown.drain_seconds, self.shutdown.grace_seconds * 0.5)


def read() -> Settings:
    """Read the environment.

    Raises:
        SettingsMistaken: With one line for each value that does not fit.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [_line(e["loc"]) for e in error.errors(include_input=False)]
        raise SettingsMistaken(list(dict.fromkeys(lines))) from None


def variables() -> dict[str, str]:
    """Return every variable with what it takes."""
    return dict(_variables(Settings, PREFIX))


def unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each DEPOT_ variable that is none of ours."""
    known = variables()
    for name in environment:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = get_close_matches(name.upper(), known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield f"{name} is no setting of Depot{hint}"


def _variables(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _variables(field.annotation, f"{variable}__")
        else:
            yield variable, field.description or ""


def _line(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if isinstance(part, str)]
    variable = PREFIX + "__".join(part.upper() for part in parts)
    known = variables()
    while variable not in known and "__" in variable:
        variable = variable.rpartition("__")[0]
    takes = known.get(variable)
    if takes is None:
        members = ", ".join(name for name in known if name.startswith(f"{variable}__"))
        return f"{variable}: is a group; set {members}"
    return f"{variable}: needs {takes}"
