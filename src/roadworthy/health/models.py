"""The answers of probes, as OpenAPI documents them."""

from typing import Literal

from pydantic import BaseModel

__all__ = ["Alive", "Dependency", "HealthReport", "Readiness", "Started"]


class Alive(BaseModel):
    """Whether the process can answer."""

    status: Literal["alive", "stuck"]


class Started(BaseModel):
    """Whether the service has started."""

    status: Literal["started", "starting"]


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, Literal["pass", "warn", "fail"]] | None = None
    reasons: dict[str, str] | None = None


class Dependency(BaseModel):
    """The status of one dependency of the service."""

    status: Literal["connected", "unreachable"]
    latency_ms: float
    checked_at: str
    critical: bool
    reason: str | None = None


class HealthReport(BaseModel):
    """The status of the service and of its dependencies."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: str
    version: str | None = None
    dependencies: dict[str, Dependency]
