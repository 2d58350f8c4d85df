"""Groups of settings: their fields are the keywords of the objects that they build.

The library reads no environment. An application owns one `BaseSettings`, and puts
these groups into it:

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="SHOP_", env_nested_delimiter="__")
        database: DatabaseSettings

    app = FastAPI(lifespan=lifespan(Settings().database.build()))

`SHOP_DATABASE__URL=postgresql://...` and `SHOP_DATABASE__POOL_SIZE=20` then say the rest.
"""

# ruff: noqa: PLC0415 - each group needs the extra of its own part, and no other
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from roadworthy.database import Database
    from roadworthy.health import Health
    from roadworthy.jobs import Embedded
    from roadworthy.uploads import Files
    from roadworthy.uploads.store import Store

__all__ = ["DatabaseSettings", "FilesSettings", "HealthSettings", "JobsSettings"]


def _seconds(value: Any) -> Any:
    # The environment holds text, which Pydantic reads as ISO 8601 only.
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


_Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0))]


class DatabaseSettings(BaseModel):
    """Settings of a `Database`; durations are seconds, or ISO 8601 (`PT5S`)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str
    pool_size: Annotated[int, Field(ge=1, le=1000)] = 10
    max_wait: _Duration = timedelta(seconds=5)
    statement_timeout: _Duration = timedelta(seconds=30)
    drain: _Duration = timedelta(seconds=10)
    synchronous: Literal["full", "normal"] = "full"
    echo: bool = False
    replica: str | None = None
    behind_pooler: bool = False
    name: str | None = None

    def build(self) -> "Database":
        """Return the `Database`; nothing is opened until it is entered.

        Raises:
            ValueError: `url` names a database that is not supported.
        """
        from roadworthy.database import Database

        given = {name: getattr(self, name) for name in type(self).model_fields}
        return Database(given.pop("url"), **given)


class JobsSettings(BaseModel):
    """Settings of an `Embedded` engine; durations as in `DatabaseSettings`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 50
    threads: Annotated[int, Field(ge=1, le=1000)] = 8
    processes: Annotated[int, Field(ge=1, le=1000)] | None = None
    transactions: Annotated[int, Field(ge=1, le=1000)] = 5
    queues: tuple[str, ...] | None = None
    queue_limits: dict[str, Annotated[int, Field(ge=1)]] | None = None
    lease: Annotated[_Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=15)
    poll: _Duration | None = None
    grace: _Duration = timedelta(seconds=10)

    def build(self) -> "Embedded":
        """Return the engine: `Jobs(db, tasks=[...], engine=settings.jobs.build())`."""
        from roadworthy.jobs import Embedded

        return Embedded(**{name: getattr(self, name) for name in type(self).model_fields})


def _files_url(url: str) -> str:
    parts = urlsplit(url)
    whole = parts.path.strip("/") if parts.scheme == "file" else parts.scheme and parts.netloc
    if not whole or parts.query or parts.fragment or (parts.scheme == "file" and parts.netloc):
        raise ValueError("write file:///path, or s3://bucket/prefix")
    return url


class FilesSettings(BaseModel):
    """Settings of `Files` and its store; durations as in `DatabaseSettings`.

    `url` is `file:///path` for a directory, to which `min_free` and `threads` belong, else that
    of an object store: `timeout`, `part_bytes`, `allow_http`, and keys in `AWS_*` variables.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_files_url)]
    max_in_flight: Annotated[int, Field(gt=0)] = 16 * 2**30
    unfinished_for: _Duration = timedelta(days=1)
    min_free: Annotated[int, Field(ge=0)] | None = None
    threads: Annotated[int, Field(ge=1, le=1000)] = 4
    timeout: _Duration = timedelta(seconds=30)
    part_bytes: Annotated[int, Field(ge=5 * 2**20)] = 8 * 2**20
    allow_http: bool = False

    def build(self) -> "Files":
        """Return the part; nothing is opened until it is entered."""
        from roadworthy.uploads import Files

        return Files(
            self._store(), max_in_flight=self.max_in_flight, unfinished_for=self.unfinished_for
        )

    def _store(self) -> "Store":
        parts = urlsplit(self.url)
        if parts.scheme == "file":
            from roadworthy.uploads import Disk

            directory = Path(unquote(parts.path))
            return Disk(directory, min_free=self.min_free, threads=self.threads)
        from roadworthy.uploads.stores.objects import Objects

        return Objects(
            self.url, timeout=self.timeout, part_bytes=self.part_bytes, allow_http=self.allow_http
        )


class HealthSettings(BaseModel):
    """Settings of `Health`; durations as in `DatabaseSettings`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    drain: Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0))] = timedelta(0)
    token: SecretStr | None = None
    max_lag: _Duration = timedelta(seconds=10)

    def build(self, *, version: str | None = None) -> "Health":
        """Return the part, without checks: `add` those of the application."""
        from roadworthy.health import Health

        token = self.token.get_secret_value() if self.token else None
        return Health(version=version, drain=self.drain, token=token, max_lag=self.max_lag)
