"""What probes are told."""

from typing import Literal

from pydantic import BaseModel

__all__ = ["Alive", "Readiness", "Started"]


class Alive(BaseModel):
    """The process can answer."""

    status: Literal["alive"] = "alive"


class Started(BaseModel):
    """The service has started."""

    status: Literal["started"] = "started"


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, Literal["pass", "warn", "fail"]] | None = None
