"""Metrics, traces, and a line in the log for each request."""

from roadworthy.observability.logs import (
    ConsoleFormatter,
    IdFilter,
    JsonFormatter,
    add_ids,
    log_config,
)
from roadworthy.observability.redaction import Redaction
from roadworthy.observability.request_log import RequestLog
from roadworthy.observability.telemetry import Telemetry

__all__ = [
    "ConsoleFormatter",
    "IdFilter",
    "JsonFormatter",
    "Redaction",
    "RequestLog",
    "Telemetry",
    "add_ids",
    "log_config",
]
