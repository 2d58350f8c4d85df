"""Findings as JSON: a list, each with the same members."""

import json

from roadworthy.audit.run.inspection import Inspection

__all__ = ["as_json"]


def as_json(inspection: Inspection) -> str:
    """Return a list of findings; what a member means says `Finding`."""
    return json.dumps([dict(one.as_json()) for one in inspection.findings], indent=2)
