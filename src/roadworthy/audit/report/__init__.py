"""What an audit says, in the form that its reader wants."""

from collections.abc import Callable, Mapping
from typing import Final

from roadworthy.audit.report.agent import agent
from roadworthy.audit.report.annotations import annotations
from roadworthy.audit.report.as_json import as_json
from roadworthy.audit.report.markdown import markdown
from roadworthy.audit.report.sarif import sarif
from roadworthy.audit.report.text import text
from roadworthy.audit.run.inspection import Inspection

__all__ = ["FORMATS"]

FORMATS: Final[Mapping[str, Callable[[Inspection], str]]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "github": annotations,
    "markdown": markdown,
    "agent": agent,
}
"""What writes each format."""
