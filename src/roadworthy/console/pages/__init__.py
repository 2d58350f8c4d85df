"""The pages of the console, in the order of its menu."""

from typing import Final

from roadworthy.console.page import Page
from roadworthy.console.pages import checks, now, problems

__all__ = ["PAGES"]

PAGES: Final[tuple[Page, ...]] = (now.PAGE, problems.PAGE, checks.PAGE)
"""Every page; one whose part the service does not have is in no menu."""
