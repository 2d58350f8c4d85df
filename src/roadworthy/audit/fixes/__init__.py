"""What can be fixed without a human, and how; only doing it needs libcst."""

from roadworthy.audit.run.fixable import KNOWN, Known, fixable

__all__ = ["KNOWN", "Known", "fixable"]
