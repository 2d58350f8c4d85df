"""Import the audited application, on request, and join what only run time knows."""

from roadworthy.audit.live.app import App, CannotImport, look
from roadworthy.audit.live.join import join

__all__ = ["App", "CannotImport", "join", "look"]
