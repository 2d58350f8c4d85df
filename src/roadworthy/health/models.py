"""What probes are told, as OpenAPI documents it."""

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
    """What is known of something that the service needs."""

    status: Literal["connected", "unreachable"]
    latency_ms: float
    checked_at: str
    critical: bool
    reason: str | None = None


class HealthReport(BaseModel):
    """How the service is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: str
    version: str | None = None
    dependencies: dict[str, Dependency]
