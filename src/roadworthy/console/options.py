"""`Options`: what `console(...)` was given, for its pages."""

from dataclasses import dataclass

from roadworthy.console.access import Access
from roadworthy.console.page import Page
from roadworthy.observability import Redaction

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of one console."""

    access: Access
    title: str
    redaction: Redaction
    pages: tuple[Page, ...]
