"""What can be mended without a human, and how; only doing it needs libcst."""

from roadworthy.audit.fixes.known import KNOWN, Known, fixable

__all__ = ["KNOWN", "Known", "fixable"]
