"""Problem details: the error document of RFC 9457 §3.1."""

from typing import Final

from roadworthy.problems.problem import Problem
from roadworthy.problems.report import Report
from roadworthy.problems.spellings.json_bytes import MAX_PATH, json_bytes
from roadworthy.problems.spellings.object_schema import Schema, object_schema

__all__ = ["MEDIA_TYPE", "document", "schema"]

MEDIA_TYPE: Final = "application/problem+json"
"""The media type of problem details (RFC 9457 §3)."""


def document(report: Report, *, path: str, request_id: str, types: str) -> bytes:
    """Return the problem details of a report; `types` is the path of the types' pages."""
    # The members after `instance` are extensions (§3.2).
    return json_bytes(
        {
            "type": f"{types}/{report.page or report.code}",
            "title": report.title,
            "status": report.status,
            "detail": report.message,
            "instance": path[:MAX_PATH],
            "code": report.code,
            "request_id": request_id,
            "errors": report.details,
        }
    )


def schema(problem: type[Problem], details: Schema) -> Schema:
    """Return the JSON Schema of the problem details of a problem."""
    return object_schema(
        type={"type": "string", "format": "uri-reference"},
        title={"type": "string"},
        status={"const": problem.status, "type": "integer"},
        detail={"type": "string"},
        instance={"type": "string"},
        code={"const": problem.code, "type": "string"},
        request_id={"type": "string"},
        errors=details,
    )
