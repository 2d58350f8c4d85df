"""`Policy`: the limits of a body and of each file in it."""

from collections.abc import Mapping
from dataclasses import dataclass

from roadworthy.uploads.checks import Check, Conversion
from roadworthy.uploads.messages import Messages
from roadworthy.uploads.receiving.pace import Pace
from roadworthy.uploads.types.inspecting.filetype import FileType

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits that an `Upload` was made with; see there for their meaning."""

    max_bytes: int
    accept: tuple[FileType, ...]
    max_files: int
    max_total_bytes: int
    field: str
    max_fields: int
    max_field_bytes: int
    pace: Pace
    checks: tuple[Check, ...]
    conversions: Mapping[FileType, Conversion]
    prefix: str
    messages: Messages
