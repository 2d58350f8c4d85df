"""The rules, one file each; `RULES` has all of them, by their codes."""

from importlib import import_module
from pathlib import Path
from typing import Final

from roadworthy.audit.model.rule import Rule

__all__ = ["RULES"]


def _all() -> tuple[Rule, ...]:
    files = sorted(Path(__file__).parent.glob("rw[0-9]*.py"))
    return tuple(import_module(f"{__name__}.{file.stem}").RULE for file in files)


RULES: Final = _all()
"""Every rule there is."""
