"""The envelope: the error document that clients get unless they ask for RFC 9457.

A member that is added to the document is added to its schema, which OpenAPI shows.
"""

from typing import Final

from roadworthy.problems.problem import Problem
from roadworthy.problems.report import Report
from roadworthy.problems.spellings.json_bytes import MAX_PATH, json_bytes
from roadworthy.problems.spellings.object_schema import Schema, object_schema

__all__ = ["MEDIA_TYPE", "document", "schema"]

MEDIA_TYPE: Final = "application/json"
"""The media type of the envelope."""


def document(report: Report, *, path: str, request_id: str) -> bytes:
    """Return the envelope of a report."""
    return json_bytes(
        {
            "error": {
                "code": report.code,
                "message": report.message,
                "path": path[:MAX_PATH],
                "request_id": request_id,
                "details": report.details,
            }
        }
    )


def schema(problem: type[Problem], details: Schema) -> Schema:
    """Return the JSON Schema of the envelope of a problem."""
    return object_schema(
        error=object_schema(
            code={"const": problem.code, "type": "string"},
            message={"type": "string"},
            path={"type": "string"},
            request_id={"type": "string"},
            details=details,
        )
    )
