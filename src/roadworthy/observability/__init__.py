"""Sight of what happens: one line for each request."""

from roadworthy.observability.request_log import RequestLog

__all__ = ["RequestLog"]
