"""Groups of settings whose fields are the keywords of what they build.

The library reads no environment. An application owns one `BaseSettings`, and puts
these groups into it:

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="SHOP_", env_nested_delimiter="__")
        database: DatabaseSettings

    app = FastAPI(lifespan=lifespan(Settings().database.build()))

`SHOP_DATABASE__URL=postgresql://...` and `SHOP_DATABASE__POOL_SIZE=20` then say the rest.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from roadworthy.database import Database
from roadworthy.jobs import Embedded

__all__ = ["DatabaseSettings", "JobsSettings"]


def _seconds(value: Any) -> Any:
    # The environment holds text, which Pydantic reads as ISO 8601 only.
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


_Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0))]


class DatabaseSettings(BaseModel):
    """What can be set of a `Database`; durations are seconds, or ISO 8601 (`PT5S`)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str
    pool_size: Annotated[int, Field(ge=1, le=1000)] = 10
    max_wait: _Duration = timedelta(seconds=5)
    statement_timeout: _Duration = timedelta(seconds=30)
    drain: _Duration = timedelta(seconds=10)
    synchronous: Literal["full", "normal"] = "full"
    echo: bool = False

    def build(self) -> Database:
        """Return the `Database`; nothing is opened until it is entered.

        Raises:
            ValueError: `url` names a database that is not supported.
        """
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return Database(given.pop("url"), **given)


class JobsSettings(BaseModel):
    """What can be set of an `Embedded` engine; durations as in `DatabaseSettings`."""

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

    def build(self) -> Embedded:
        """Return the engine: `Jobs(db, tasks=[...], engine=settings.jobs.build())`."""
        return Embedded(**{name: getattr(self, name) for name in type(self).model_fields})
